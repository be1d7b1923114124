"""What answers tell of their routing in headers, whatever deployments are called."""

import pytest

from router.proxy.routing_headers import printable


@pytest.mark.parametrize(
    ("value", "expected"), [("azure-eu", b"azure-eu"), ("zürich", b"z?rich"), ("a\r\nb", b"a??b"), ("", b"")]
)
def test_a_header_holds_what_can_be_printed(value: str, expected: bytes) -> None:
    assert printable(value) == expected
