"""What Schemathesis does not know of itself, and what a schema has no words for."""

import json
import uuid

import schemathesis

# An event of an upload's stream; what OpenAPI 3.1 has a word for is the stream as a whole, a text.
EVENT = {
    "type": "object",
    "required": ["event", "data"],
    "additionalProperties": False,
    "properties": {
        "event": {"enum": ["progress", "rejected", "completed", "failed", "cancelled", "reset"]},
        "data": {"type": "string", "pattern": "^\\{.*\\}$"},
        "id": {"type": "string", "pattern": "^(end|[0-9]{1,19}-[0-9]{1,19})$"},
    },
}


@schemathesis.serializer("application/x-ndjson", "application/offset+octet-stream")
def lines(_context, value):
    if isinstance(value, bytes):
        return value
    return (value if isinstance(value, str) else json.dumps(value)).encode()


@schemathesis.hook
def before_load_schema(_context, raw_schema):
    for path in raw_schema["paths"].values():
        for operation in path.values():
            for answer in operation["responses"].values():
                stream = answer.get("content", {}).get("text/event-stream")
                if stream:
                    stream["schema"] = EVENT


@schemathesis.hook
def before_call(_context, case, _kwargs):
    # No job comes for a worker that is made up: it would wait for as long as it says.
    if case.path == "/v1/work/claims" and isinstance(case.body, dict) and isinstance(case.body.get("wait_ms"), int):
        case.body["wait_ms"] = min(case.body["wait_ms"], 50)
    if not (case.meta and case.meta.generation.mode.is_positive):
        return
    # A key that was sent before with another request is refused, and one that is sent again repeats an answer that may be
    # of what was deleted since. The clients in Python and TypeScript send theirs twice.
    for name in case.headers or {}:
        if name.lower() == "idempotency-key":
            case.headers[name] = str(uuid.uuid4())
    # Only an answer makes one.
    if case.query:
        case.query.pop("cursor", None)
