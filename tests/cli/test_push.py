"""Exports go to the hub only when asked, whole and in one commit; a stand-in on this machine takes the hub's place."""

import base64
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import huggingface_hub.constants
import pytest
from safetensors.torch import save_file

from mimbench.cli import main
from mimbench.encoders import vit


class Hub(BaseHTTPRequestHandler):
    """As much of the hub's interface as an upload of small files uses."""

    status = 200
    requests: list[tuple[str, str | None, bytes]]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.requests.append((self.path, self.headers.get("Authorization"), body))
        self._answer(self._reply(body))

    def do_GET(self) -> None:
        self.requests.append((self.path, self.headers.get("Authorization"), b""))
        self._answer({"sha": "0" * 40, "id": "me/weights"})

    def _reply(self, body: bytes) -> dict[str, Any]:
        host = f"http://127.0.0.1:{self.server.server_address[1]}"
        if self.path.endswith("/repos/create"):
            return {"url": f"{host}/me/weights", "name": "me/weights"}
        if "/preupload/" in self.path:
            names = [file["path"] for file in json.loads(body)["files"]]
            return {"files": [{"path": n, "uploadMode": "regular", "shouldIgnore": False} for n in names]}
        return {"commitUrl": f"{host}/me/weights/commit/1", "commitOid": "1" * 40, "success": True}

    def _answer(self, content: dict[str, Any]) -> None:
        body = json.dumps(content if self.status == 200 else {"error": "no such user"}).encode()
        self.send_response(self.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Says nothing."""


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Hub]]:
    Fresh = type("Fresh", (Hub,), {"requests": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), Fresh)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", f"http://127.0.0.1:{server.server_address[1]}")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("HF_TOKEN", "hf_of_this_test")
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    yield Fresh
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def run(tmp_path: Path) -> Path:
    save_file(vit(32, 8, 32, 1, 4).trunk.state_dict(), tmp_path / "encoder.safetensors")
    return tmp_path


def export(run: Path, *words: str) -> int:
    out = str(run / "out")
    return main(
        ["weights", "export", str(run), "--format", "transformers-vit", "--num-heads", "4", "--out", out, *words]
    )


def test_nothing_is_sent_unless_asked(run: Path, hub: type[Hub]):
    assert export(run) == 0
    assert hub.requests == []


def test_a_push_uploads_what_was_written_in_one_commit(run: Path, hub: type[Hub], capsys: pytest.CaptureFixture[str]):
    assert export(run, "--push", "me/weights") == 0
    assert "Pushed to http://127.0.0.1" in capsys.readouterr().out
    changing = [token for path, token, _ in hub.requests if path.endswith("/create") or "/commit/" in path]
    assert changing == ["Bearer hf_of_this_test"] * 2
    created = next(json.loads(body) for path, _, body in hub.requests if path.endswith("/repos/create"))
    assert created["name"] == "weights"
    (commit,) = [body for path, _, body in hub.requests if "/commit/" in path]
    parts = [json.loads(line) for line in commit.splitlines()]
    sent = {p["value"]["path"]: base64.b64decode(p["value"]["content"]) for p in parts if p["key"] == "file"}
    names = ("config.json", "model.safetensors", "preprocessor_config.json", "README.md")
    assert sent == {name: (run / "out" / name).read_bytes() for name in names}


def test_a_refusal_of_the_hub_is_told_in_one_line_and_the_files_stay(
    run: Path, hub: type[Hub], capsys: pytest.CaptureFixture[str]
):
    hub.status = 403
    assert export(run, "--push", "you/weights") == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert "the upload failed" in told
    assert "hf upload you/weights" in told
    assert (run / "out" / "model.safetensors").is_file()
