"""The record of a call, for tests of what is made of records."""

from router import CallRecord

CALL = CallRecord(
    id="call_1",
    verb="create",
    status="succeeded",
    model="gpt",
    group="gpt",
    deployment_id="u0",
    provider="openai",
    deployment_model="gpt-4o",
    stream=False,
    started=1.0,
    queued=0.0,
    first_event=None,
    duration=1.2044,
)
