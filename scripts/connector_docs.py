"""What the keys of conf/connectors/*.yml mean; ``make_docs.py`` makes docs/connectors.md of it."""

from __future__ import annotations

from pydantic import BaseModel

from tillhouse.pull.credentials import Secret
from tillhouse.pull.model import Connector, Limits, Paging, Since

SEE: dict[type[BaseModel], str] = {
    Secret: "secret_headers",
    Paging: "paging",
    Since: "since",
    Limits: "limits",
}

MODELS: dict[str, tuple[type[BaseModel], str]] = {
    "A connector": (Connector, "The keys of a file `conf/connectors/<connector>.yml`."),
    "secret_headers": (
        Secret,
        "Where the secret part of a header is: exactly one of `env` and `file`. A credential never stands in conf; a header or "
        "parameter whose name says that it holds one (token, key, password, authorization, ...) is refused there.",
    ),
    "paging": (Paging, "How a page leads to the next one. An address in a page or header must be of the same host as `url`."),
    "since": (
        Since,
        "Only what has changed. When all pages of a pull are there, the highest `field` of their records is kept and asked for "
        "by the next pull. Records that the API then sends again are known by their content and count once.",
    ),
    "limits": (
        Limits,
        "What one pull may take at most. It then ends with exit code 1; the next one goes on after the last page.",
    ),
}

MEANINGS: dict[type[BaseModel], dict[str, str]] = {
    Connector: {
        "connector": "Name of the connector and of this file; small letters, digits and `_`.",
        "description": "One sentence for people.",
        "url": "Address of the first page, without parameters. `https://`; `http://` only for this machine.",
        "parameters": "Parameters of the query that are the same in each request, such as the size of a page.",
        "body": "For an API that is asked by POST: what is sent as JSON. `parameter` of `paging` and `since` is then a place "
        "in it, "
        "with dots between names.",
        "headers": "Headers without secrets.",
        "secret_headers": "Headers with a credential, such as `Authorization`.",
        "records": "Place of the list of records in a page, with dots between names. Without it the page itself is the list.",
        "paging": "How a page leads to the next one.",
        "since": "Only what has changed since the last pull. Without it each pull brings all records.",
        "target": "Path of the files below the landing area: one of JSON lines for each page, each record as the API wrote it. "
        "`{pulled}` stands for the time (UTC) at which the pull began, as 20261122T190000, `{page}` for the number of the file "
        "in it. The `file_pattern` of one source of format `jsonl` must match.",
        "requests_per_second": "Pace; repeated requests count.",
        "timeout_seconds": "Longest time for one answer.",
        "retries": "How often a request is repeated after a timeout, a lost connection or an answer 408, 425, 429, 500, 502, 503 "
        "or 504, with growing waits, or those that `Retry-After` says.",
        "longest_wait_seconds": "Longest wait between two attempts; an API that asks for a longer one ends the pull.",
        "limits": "What one pull may take at most.",
    },
    Secret: {
        "env": "Environment variable that holds it.",
        "file": "File that holds it, such as one that a secret store mounts.",
        "prefix": 'What stands before it, such as `"Bearer "`.',
    },
    Paging: {
        "style": '`link`: the header `Link` with `rel="next"`. `next_url`: an address at `next` in the page. `cursor`: a text at '
        "`next`, sent as `parameter`. `page` and `offset`: `parameter` counts pages or records, up to a page without records "
        "or with fewer than `size`. `none`: there is one page.",
        "next": "Place of the cursor or address in a page, with dots between names; the last page has none.",
        "parameter": "Parameter of the query (or place in `body`) that names the page.",
        "first": "Number of the first page or record: 1 for `page`, 0 for `offset` if nothing is said.",
        "size": "Records on a full page.",
    },
    Since: {
        "parameter": "Parameter of the query (or place in `body`) that holds the value.",
        "field": "Place of the change time or number in a record, with dots between names.",
        "kind": "`instant`: a time in ISO 8601, kept and sent in UTC; one without offset counts as UTC. `number`.",
        "first": "What the very first pull asks for; without it, it brings everything.",
        "overlap_seconds": "So much earlier is asked for, where records become visible some time after their change time.",
        "until_parameter": "Parameter that holds the time at which the pull began, so that its pages do not change under it.",
    },
    Limits: {
        "pages": "Pages.",
        "minutes": "Time, waits included.",
        "total_mebibytes": "All answers together, unpacked.",
        "response_mebibytes": "One answer, unpacked.",
    },
}  # fmt: skip

INTRODUCTION = (
    "# Pulling from an API",
    "`tillhouse pull NAME` brings the pages of an API into the landing area as files; from there on they are exports like any "
    "other, with a [mapping](sources.md) of their own. A connector is one YAML file, without code; `conf/library/connectors/` "
    "has some to copy. An unknown, missing or mistyped key is an error that names file, key and what is allowed. What happens "
    "when something fails is in [operations](operations.md#pulling-from-apis).",
    "To connect an API that nobody has connected yet:",
    "1. write `conf/connectors/<connector>.yml`: `url`, where the credential is, where the records are in a page, how pages "
    "follow each other; and put the credential there;\n"
    "2. `tillhouse pull NAME --sample FILE` writes the first page to a file and does no more;\n"
    "3. `tillhouse source profile FILE` proposes a mapping of it; let its `file_pattern` match the connector's `target`, and go "
    "through it with [the mapping language](sources.md);\n"
    "4. `tillhouse pull NAME`, then `tillhouse source check` with the mapping and one of the files, then `tillhouse run`.",
)
