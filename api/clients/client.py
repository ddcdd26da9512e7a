"""Upload, status, rejects, by a client that openapi-python-client made of the document."""

import io
import os
import sys
import time

from gristmill_client import AuthenticatedClient
from gristmill_client.api.uploads import create_upload, get_upload, list_rejects, list_uploads
from gristmill_client.models import FileKind, UploadState
from gristmill_client.types import File

client = AuthenticatedClient(base_url=os.environ["API"], token=os.environ["KEY"], raise_on_unexpected_status=True)
file = sys.stdin.buffer.read()


def send(key: str):
    body = File(payload=io.BytesIO(file), file_name="debts.csv")
    answer = create_upload.sync_detailed(client=client, body=body, kind=FileKind.DEBTS, idempotency_key=key)
    assert answer.status_code == 202, answer
    return answer.parsed


upload = send("by-python")
assert upload.state in (UploadState.RECEIVING, UploadState.PROCESSING, UploadState.COMPLETED), upload
assert send("by-python").id == upload.id
until = time.monotonic() + 120
while upload.state is not UploadState.COMPLETED:
    assert upload.state is not UploadState.FAILED and time.monotonic() < until, upload
    time.sleep(0.2)
    upload = get_upload.sync(upload.id, client=client)
assert (upload.rows.read, upload.rows.accepted, upload.rows.rejected) == (3, 2, 1), upload.rows
rejects = list_rejects.sync(upload.id, client=client)
assert [(it.line, it.column, it.reason) for it in rejects.items] == [(3, "debtAmount", "bad_amount")], rejects
assert [(it.column, it.code) for it in rejects.items[0].faults] == [("debtAmount", "bad_amount")], rejects
newest = list_uploads.sync(client=client, state=UploadState.COMPLETED, limit=1)
assert newest.items[0].id == upload.id, newest
print("python: upload, status, rejects: ok")
