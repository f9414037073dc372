"""What AWS refuses, in words that say which call it was and what to do."""

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,
    HTTPClientError,
    NoCredentialsError,
    NoRegionError,
    ProfileNotFound,
)

AWS_ERRORS = (BotoCoreError, ClientError)
SIGN_IN = "Sign in again (for example 'aws sso login'), or name a profile with --profile."
SET_CLOCK = "The clock of this machine may be wrong: set it (timedatectl set-ntp true)."
ADVICE = {
    "AccessDenied": "Your AWS identity may not do that: use another --profile, or have it allowed.",
    "ConditionalCheckFailed": "Somebody else changed it at the same moment: run it again.",
    "ConflictException": "Somebody else changed it at the same moment: run it again.",
    "ExpiredToken": SIGN_IN,
    "InvalidClientTokenId": SIGN_IN,
    "InvalidSignature": SET_CLOCK,
    "LimitExceeded": "The account's limit is reached: revoke clients, or have the limit raised.",
    "NotFoundException": "It is gone: run the command again, and 'sam deploy' if that does not do.",
    "RequestExpired": SET_CLOCK,
    "RequestTimeTooSkewed": SET_CLOCK,
    "ResourceNotFound": "It is gone: deploy the stack again with 'sam deploy'.",
    "SignatureDoesNotMatch": SET_CLOCK,
    "Throttling": "AWS is busy: try again in a minute.",
    "TooManyRequests": "AWS is busy: try again in a minute.",
    "UnrecognizedClient": SIGN_IN,
}


def explain(error: ClientError | BotoCoreError) -> str:
    """One or two sentences for whoever ran the command."""
    if isinstance(error, ClientError):
        return explain_refusal(error)
    if isinstance(error, NoCredentialsError):
        return f"There are no AWS credentials. {SIGN_IN}"
    if isinstance(error, NoRegionError):
        return (
            "No AWS region is set: name it with --region, or in your AWS profile, "
            "or say --local for the stack of make run."
        )
    if isinstance(error, ProfileNotFound):
        return f"{error}. 'aws configure list-profiles' shows which there are."
    if isinstance(error, ConnectionError | HTTPClientError):
        return f"AWS does not answer: {error} Is the network, or the local stack, still there?"
    return f"The call to AWS failed: {error}"


def explain_refusal(error: ClientError) -> str:
    """What AWS said no to, why, and the advice for that code."""
    said = error.response["Error"]
    code = said.get("Code", "")
    advice = next((text for start, text in ADVICE.items() if code.startswith(start)), "")
    return f"{error.operation_name}: {said.get('Message', '')} ({code}). {advice}".rstrip()
