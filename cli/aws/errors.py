"""Explains AWS errors: the call, the reason and what to do."""

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
    "AccessDenied": "Your AWS identity lacks permission: use another --profile, or request it.",
    "ConditionalCheckFailed": "It was changed concurrently: run the command again.",
    "ConflictException": "It was changed concurrently: run the command again.",
    "ExpiredToken": SIGN_IN,
    "InvalidClientTokenId": SIGN_IN,
    "InvalidSignature": SET_CLOCK,
    "LimitExceeded": "The account's limit is reached: revoke clients, or request a higher limit.",
    "NotFoundException": "It was deleted: run the command again; if that fails, run 'sam deploy'.",
    "RequestExpired": SET_CLOCK,
    "RequestTimeTooSkewed": SET_CLOCK,
    "ResourceNotFound": "It was deleted: run 'sam deploy'.",
    "SignatureDoesNotMatch": SET_CLOCK,
    "Throttling": "AWS is busy: try again in a minute.",
    "TooManyRequests": "AWS is busy: try again in a minute.",
    "UnrecognizedClient": SIGN_IN,
}


def explain(error: ClientError | BotoCoreError) -> str:
    """Return the operation, the reason and advice for the operator."""
    if isinstance(error, ClientError):
        code = error.response["Error"].get("Code", "")
        message = error.response["Error"].get("Message", "")
        advice = next((text for start, text in ADVICE.items() if code.startswith(start)), "")
        return f"{error.operation_name}: {message} ({code}). {advice}".rstrip()
    if isinstance(error, NoCredentialsError):
        return f"No AWS credentials found. {SIGN_IN}"
    if isinstance(error, NoRegionError):
        return (
            "No AWS region is set: pass --region, set it in your AWS profile, "
            "or pass --local for the stack of make run."
        )
    if isinstance(error, ProfileNotFound):
        return f"{error}. 'aws configure list-profiles' lists them."
    if isinstance(error, ConnectionError | HTTPClientError):
        return f"AWS does not answer: {error} Check the network, or the local stack."
    return f"The call to AWS failed: {error}"
