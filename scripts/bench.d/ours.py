"""This repository's `perf` example, between two processes."""

from __future__ import annotations

import json
from pathlib import Path

from measure import MeasureError, Spec


def perf(binary: Path, *, upload: int = 0, download: int = 0, max_payload: int | None = None) -> Spec:
    """One perf run on one stream: `upload` bytes to the server, then `download` bytes back."""
    options = [] if max_payload is None else ["--max-payload", str(max_payload)]

    def server(port: int) -> list[str]:
        return [str(binary), "--run-server", "--server-address", f"127.0.0.1:{port}", "--transport", "quic-v1", *options]

    def client(port: int) -> list[str]:
        return [
            str(binary), "--server-address", f"127.0.0.1:{port}", "--transport", "quic-v1",
            "--upload-bytes", str(upload), "--download-bytes", str(download), *options,
        ]  # fmt: skip

    def check(output: str) -> None:
        """The client counts what arrived: in one direction itself, in the other by the server's end of stream."""
        reports = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
        if not reports or reports[-1].get("type") != "final":
            raise MeasureError(f"perf printed no final line: {output[-500:]!r}")
        got = reports[-1]["uploadBytes"], reports[-1]["downloadBytes"]
        if got != (upload, download):
            raise MeasureError(f"perf reports {got[0]} bytes up and {got[1]} down, not {upload} and {download}")

    return Spec(server, client, check=check)
