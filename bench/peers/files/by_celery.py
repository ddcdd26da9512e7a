"""The design of the system that Gristmill comes from, well built: FastAPI takes the file and cuts it while it arrives, Celery's
workers check and load the pieces, each in one transaction that also counts; the last one closes the upload.

PEER_METHOD says how rows are loaded: `executemany`, `insertmanyvalues` or `copy`."""

import csv
import datetime
import io
import os
import pathlib
import uuid

import psycopg
import sqlalchemy as sa
from celery import Celery
from celery.signals import worker_process_init
from fastapi import FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

import rules

URL, METHOD, FOLDER = os.environ["PEER_DATABASE"], os.environ["PEER_METHOD"], pathlib.Path(os.environ["PEER_FOLDER"])
PIECE = 2 << 20
queue = Celery("by_celery", broker=os.environ["PEER_REDIS"])
queue.conf.update(task_ignore_result=True, worker_prefetch_multiplier=1, task_acks_late=True, task_reject_on_worker_lost=True,
                  broker_connection_retry_on_startup=True)
engine = sa.create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(URL), pool_size=4)


class Base(DeclarativeBase):
    pass


class Debt(Base):
    __tablename__ = "debts"
    debt_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    upload_id: Mapped[uuid.UUID]
    line: Mapped[int] = mapped_column(sa.BigInteger)
    amount_minor: Mapped[int] = mapped_column(sa.BigInteger)
    due_date: Mapped[datetime.date]
    name: Mapped[str]
    government_id: Mapped[str]
    email: Mapped[str]


class Reject(Base):
    __tablename__ = "rejects"
    upload_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    line: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True)
    code: Mapped[str]
    record: Mapped[str]


class Upload(Base):
    __tablename__ = "uploads"
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    state: Mapped[str]
    chunks: Mapped[int | None]
    done: Mapped[int]
    accepted: Mapped[int]
    rejected: Mapped[int]
    duplicate: Mapped[int]


@worker_process_init.connect
def forked(**_):
    engine.dispose(close=False)


def checked(path, upload, first):
    """Rows in the order of their keys, so that two workers do not wait for each other in a circle; and rejects."""
    text = path.read_text(encoding="utf-8", errors="surrogateescape")
    rows, rejects = [], []
    for line, fields in enumerate(csv.reader(io.StringIO(text, newline="")), first):
        try:
            name, government_id, email, minor, day, debt_id = rules.check(fields)
            rows.append((debt_id.lower(), upload, line, minor, day, name, government_id, email))
        except rules.Bad as why:
            record = ",".join(fields).replace("\0", "").encode("utf-8", "replace").decode()
            rejects.append({"upload_id": upload, "line": line, "code": str(why), "record": record})
    rows.sort()
    return rows, rejects


NAMES = ["debt_id", "upload_id", "line", "amount_minor", "due_date", "name", "government_id", "email"]


def mapped(rows):
    return [{**dict(zip(NAMES, row)), "debt_id": uuid.UUID(row[0])} for row in rows]


def by_executemany(session, rows):
    statement = insert(Debt.__table__).on_conflict_do_nothing()
    return session.connection().execute(statement, mapped(rows), execution_options={"preserve_rowcount": True}).rowcount


def by_insertmanyvalues(session, rows):
    statement = insert(Debt).on_conflict_do_nothing().returning(Debt.debt_id)
    return len(session.execute(statement, mapped(rows)).all())


def by_copy(session, rows):
    cursor = session.connection().connection.driver_connection.cursor()
    cursor.execute("create temporary table staged (like debts) on commit drop")
    with cursor.copy("copy staged from stdin") as copy:
        for row in rows:
            copy.write_row(row)
    cursor.execute("insert into debts select * from staged on conflict do nothing")
    return cursor.rowcount


LOAD = {"executemany": by_executemany, "insertmanyvalues": by_insertmanyvalues, "copy": by_copy}


@queue.task(bind=True, max_retries=10)
def load(self, upload, number, first):
    path = FOLDER / f"{upload}-{number}"
    rows, rejects = checked(path, uuid.UUID(upload), first)
    try:
        with Session(engine) as session, session.begin():
            accepted = LOAD[METHOD](session, rows) if rows else 0
            if rejects:
                session.execute(sa.insert(Reject), rejects)
            session.execute(sa.update(Upload).where(Upload.id == uuid.UUID(upload)).values(
                done=Upload.done + 1, accepted=Upload.accepted + accepted, rejected=Upload.rejected + len(rejects),
                duplicate=Upload.duplicate + len(rows) - accepted))
            close(session, upload)
    except sa.exc.OperationalError as error:  # a deadlock: the other one has gone on
        raise self.retry(exc=error, countdown=0.1) from None
    path.unlink(missing_ok=True)


def close(session, upload):
    ended = (Upload.id == uuid.UUID(upload)) & (Upload.done == Upload.chunks)
    session.execute(sa.update(Upload).where(ended).values(state="completed"))


api = FastAPI()


def begin(upload):
    with Session(engine) as session, session.begin():
        session.execute(sa.insert(Upload), {"id": uuid.UUID(upload), "state": "processing", "done": 0, "accepted": 0, "rejected": 0,
                                            "duplicate": 0})


def seal(upload, chunks):
    with Session(engine) as session, session.begin():
        session.execute(sa.update(Upload).where(Upload.id == uuid.UUID(upload)).values(chunks=chunks))
        close(session, upload)


def enqueue(upload, number, first, piece):
    (FOLDER / f"{upload}-{number}").write_bytes(piece)
    load.delay(upload, number, first)


def whole(buffer):
    """Where the last record ends that is whole: at a line end with an even number of quotes before it."""
    end = buffer.rfind(b"\n") + 1
    while end and buffer.count(b'"', 0, end) % 2:
        end = buffer.rfind(b"\n", 0, end - 1) + 1
    return end


@api.post("/uploads")
async def create(request: Request):
    upload, number, line, buffer, header = str(uuid.uuid4()), 0, 1, bytearray(), True
    await run_in_threadpool(begin, upload)
    async for part in request.stream():
        buffer += part
        if header and (end := buffer.find(b"\n") + 1):
            del buffer[:end]
            header = False
        if len(buffer) >= PIECE and (end := whole(buffer)):
            piece = bytes(buffer[:end])
            del buffer[:end]
            await run_in_threadpool(enqueue, upload, number, line, piece)
            number, line = number + 1, line + piece.count(b"\n")
    if buffer:
        await run_in_threadpool(enqueue, upload, number, line, bytes(buffer))
        number += 1
    await run_in_threadpool(seal, upload, number)
    return {"id": upload}


@api.get("/uploads/{upload}")
def show(upload: uuid.UUID):
    with Session(engine) as session:
        found = session.get_one(Upload, upload)
        return {name: getattr(found, name) for name in ("state", "accepted", "rejected", "duplicate")}
