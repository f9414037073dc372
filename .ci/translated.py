"""Prints template.yaml as CloudFormation gets it, for scanners that do not know SAM."""

import json
from pathlib import Path

from local.cloudformation.translation import load

if __name__ == "__main__":
    template = load(Path(__file__).parents[1] / "template.yaml")
    print(json.dumps(template.document, indent=1))
