"""A stub of the W&B server on the loopback interface: stores what the client sends and answers from it."""

import base64
import gzip
import json
import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TEAM = "team"
_DATE = "2026-01-01T00:00:00"
_LAST_PAGE = {"__typename": "PageInfo", "endCursor": None, "hasNextPage": False}
_USER = {
    "id": "u1",
    "name": "u",
    "username": "u",
    "email": "u@example.org",
    "admin": False,
    "flags": "{}",
    "entity": TEAM,
    "deletedAt": None,
    "apiKeys": {"edges": []},
    "teams": {"edges": [{"node": {"name": TEAM, "id": "t1"}}]},
}


class Server:
    """The data received so far.

    Attributes:
        runs: By id: displayName, groupName, jobType, tags, config, history (rows), summary, exit, project.
        views: Workspaces and reports by id.
        artifacts: In order of creation, as the client described them.
        uploads: Sizes of files by path.
        unknown: Names of operations that the stub does not implement.
    """

    def __init__(self) -> None:
        self.runs: dict[str, dict[str, Any]] = {}
        self.views: dict[str, dict[str, Any]] = {}
        self.artifacts: dict[str, dict[str, Any]] = {}
        self.uploads: dict[str, int] = {}
        self.unknown: list[str] = []
        self.lock = threading.Lock()
        self.url = ""

    def logged(self) -> set[str]:
        """The names of all metrics in the histories and summaries of the runs."""
        return {key for run in self.runs.values() for row in (*run["history"], run["summary"]) for key in row}

    def stream(self, name: str, body: dict[str, Any]) -> None:
        run = self.run(name)
        for file, chunk in (body.get("files") or {}).items():
            if file == "wandb-history.jsonl":  # lines by offset, as at W&B: a line sent again replaces the first
                lines = [json.loads(line) for line in chunk["content"]]
                run["history"][chunk["offset"] : chunk["offset"] + len(lines)] = lines
            elif file == "wandb-summary.json":
                run["summary"] = json.loads(chunk["content"][-1])
        if body.get("complete"):
            run["exit"] = body.get("exitcode")

    def run(self, name: str) -> dict[str, Any]:
        fresh = {"id": f"run-{name}", "name": name, "history": [], "config": {}, "summary": {}, "exit": None}
        return self.runs.setdefault(name, fresh)

    def answer(self, operation: str, variables: dict[str, Any]) -> dict[str, Any]:
        method = getattr(self, f"_on_{operation.lower()}", None)
        if method is None:
            self.unknown.append(operation)
            return {}
        with self.lock:
            return method(variables)

    def _on_viewer(self, v: dict[str, Any]) -> dict[str, Any]:
        return {"viewer": _USER}

    _on_getviewer = _on_getdefaultentity = _on_viewer

    def _on_serverfeaturesquery(self, v: dict[str, Any]) -> dict[str, Any]:
        return {"serverInfo": {"features": []}}

    def _on_organizationcoreweaveorganizationid(self, v: dict[str, Any]) -> dict[str, Any]:
        return {"entity": {"organization": {"coreWeaveOrganizationId": ""}}}

    def _on_upsertbucket(self, v: dict[str, Any]) -> dict[str, Any]:
        inserted, run = v["name"] not in self.runs, self.run(v["name"])
        run.update({k: v[k] for k in ("displayName", "groupName", "jobType", "tags", "project") if v.get(k)})
        if v.get("config"):
            run["config"] = json.loads(v["config"])
        if v.get("summaryMetrics"):
            run["summary"] = json.loads(v["summaryMetrics"])
        project = {"id": "p1", "name": run.get("project"), "entity": {"id": "e1", "name": TEAM}}
        bucket = {"id": run["id"], "name": run["name"], "displayName": run.get("displayName"), "description": ""}
        rest = {"config": json.dumps(run["config"]), "sweepName": None, "historyLineCount": len(run["history"])}
        return {"upsertBucket": {"bucket": {**bucket, **rest, "project": project}, "inserted": inserted}}

    def _on_runresumestatus(self, v: dict[str, Any]) -> dict[str, Any]:
        model = {"id": "p1", "name": v.get("project"), "entity": {"id": "e1", "name": TEAM}, "bucket": None}
        if (run := self.runs.get(v["name"])) is not None:
            tail = [json.dumps(row) for row in run["history"][-1:]]
            model["bucket"] = {
                "id": run["id"],
                "name": run["name"],
                "displayName": run.get("displayName"),
                "summaryMetrics": json.dumps(run["summary"]),
                "config": json.dumps(run["config"]),
                "historyLineCount": len(run["history"]),
                "logLineCount": 0,
                "eventsLineCount": 0,
                "historyTail": json.dumps(tail),
                "eventsTail": "[]",
                "tags": run.get("tags") or [],
                "wandbConfig": json.dumps({"t": 1}),
                "stopped": False,
            }
        return {"model": model}

    def _on_createrunfiles(self, v: dict[str, Any]) -> dict[str, Any]:
        files = [{"name": name, "uploadUrl": f"{self.url}/storage/{v['run']}/{name}"} for name in v["files"]]
        return {"createRunFiles": {"runID": v["run"], "uploadHeaders": [], "files": files}}

    def _on_createartifact(self, v: dict[str, Any]) -> dict[str, Any]:
        identity = f"artifact{len(self.artifacts) + 1}"
        self.artifacts[identity] = {**v["input"], "state": "PENDING"}
        made = {"id": identity, "state": "PENDING", "artifactSequence": {"latestArtifact": None}}
        return {"createArtifact": {"artifact": made}}

    def _on_artifacttype(self, v: dict[str, Any]) -> dict[str, Any]:
        return {"project": {"artifact": None}}

    def _on_createartifactmanifest(self, v: dict[str, Any]) -> dict[str, Any]:
        return {"createArtifactManifest": {"artifactManifest": self._manifest(f"manifest-{v['artifactID']}")}}

    def _on_updateartifactmanifest(self, v: dict[str, Any]) -> dict[str, Any]:
        return {"updateArtifactManifest": {"artifactManifest": self._manifest(v["artifactManifestID"])}}

    def _manifest(self, identity: str) -> dict[str, Any]:
        address = f"{self.url}/storage/{identity}.json"
        return {"id": identity, "file": {"id": f"file-{identity}", "uploadUrl": address, "uploadHeaders": []}}

    def _on_createartifactfiles(self, v: dict[str, Any]) -> dict[str, Any]:
        files = v["input"]["artifactFiles"] if "input" in v else v["artifactFiles"]
        edges = [{"node": self._artifact_file(file["artifactID"], file["name"])} for file in files]
        return {"createArtifactFiles": {"files": {"edges": edges}}}

    def _artifact_file(self, artifact: str, name: str) -> dict[str, Any]:
        path = f"{artifact}/{name}"
        named = {"id": f"file-{path}", "name": name, "displayName": name, "storagePath": f"wandb_artifacts/{path}"}
        upload = {"uploadUrl": f"{self.url}/storage/{path}", "uploadHeaders": [], "uploadMultipartUrls": None}
        return {**named, **upload, "artifact": {"id": artifact}}

    def _on_commitartifact(self, v: dict[str, Any]) -> dict[str, Any]:
        self.artifacts[v["artifactID"]]["state"] = "COMMITTED"
        return {"commitArtifact": {"artifact": {"id": v["artifactID"], "digest": "d"}}}

    def _on_artifactbyid(self, v: dict[str, Any]) -> dict[str, Any]:
        artifact = self.artifacts[v["id"]]
        project = {"id": "p1", "internalId": "1", "name": artifact["projectName"], "entity": {"name": TEAM}}
        sequence = {"__typename": "ArtifactSequence", "name": artifact["artifactCollectionName"], "project": project}
        times = {"ttlDurationSeconds": -2, "ttlIsInherited": True, "createdAt": _DATE, "updatedAt": None}
        numbers = {"versionIndex": 0, "historyStep": None, "size": 1, "fileCount": 1, "digest": "d", "commitHash": None}
        named = {"id": v["id"], "artifactSequence": sequence, "artifactType": {"name": artifact["artifactTypeName"]}}
        rest = {"description": None, "metadata": None, "tags": [], "state": artifact["state"], "aliases": []}
        return {"artifact": {**named, **times, **numbers, **rest}}

    def _on_useartifact(self, v: dict[str, Any]) -> dict[str, Any]:
        identity = v.get("artifactID") or v["input"]["artifactID"]
        self.artifacts[identity]["used"] = True
        return {"useArtifact": {"artifact": {"id": identity}}}

    def _on_upsertview(self, v: dict[str, Any]) -> dict[str, Any]:
        identity = v.get("id") or base64.b64encode(f"View:{len(self.views) + 1}".encode()).decode()
        self.views[identity] = {**v, "id": identity, "spec": json.loads(v["spec"])}
        fields = {key: v.get(key) for key in ("name", "type", "displayName", "description", "spec")}
        dates = {"updatedAt": _DATE, "createdAt": _DATE, "locked": False, "previewUrl": None, "coverUrl": None}
        project = {"id": "p1", "name": v["projectName"], "entityName": TEAM}
        user = {"name": "u", "username": "u", "userInfo": {}}
        view = {"id": identity, **fields, **dates, "user": user, "project": project}
        return {"upsertView": {"view": view, "inserted": True}}

    _on_upsertview2 = _on_upsertview

    def _views(self, kind: str, name: str | None = None) -> dict[str, Any]:
        chosen = [view for view in self.views.values() if view["type"] == kind and name in (None, view["name"])]
        keys = ("id", "name", "displayName", "description")
        nodes = [{**{k: view.get(k) for k in keys}, "spec": json.dumps(view["spec"])} for view in chosen]
        extra = {"user": _USER, "updatedAt": _DATE, "createdAt": _DATE}
        edges = [{"node": node | extra, "cursor": str(i)} for i, node in enumerate(nodes)]
        return {"project": {"allViews": {"edges": edges, "pageInfo": _LAST_PAGE}}}

    def _on_view(self, v: dict[str, Any]) -> dict[str, Any]:
        return self._views("project-view", v["viewName"])

    def _on_projectviews(self, v: dict[str, Any]) -> dict[str, Any]:
        return self._views(v.get("viewType") or "runs")

    def _on_getprojects(self, v: dict[str, Any]) -> dict[str, Any]:
        own = {"id": "p1", "name": "mimbench", "entityName": TEAM, "createdAt": _DATE, "isBenchmark": False}
        node = {"__typename": "Project", **own, "user": _USER}
        return {"models": {"pageInfo": _LAST_PAGE, "edges": [{"node": node}]}}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    state: Server

    def do_GET(self) -> None:
        self._send({})

    def do_PUT(self) -> None:
        self.state.uploads[self.path] = len(self._body())
        self._send({})

    def do_POST(self) -> None:
        raw = self._body()
        if not self.path.endswith(("/file_stream", "/graphql")):
            return self._send({})  # telemetry of the client
        body = json.loads(raw)
        if self.path.endswith("/file_stream"):
            with self.state.lock:
                self.state.stream(self.path.split("/")[-2], body)
            return self._send({})
        named = re.search(r"(?:query|mutation)\s+(\w+)", body.get("query", ""))
        operation = body.get("operationName") or (named[1] if named else "")
        return self._send({"data": self.state.answer(operation, body.get("variables") or {})})

    def log_message(self, *_: Any) -> None:
        """Logs nothing."""

    def _body(self) -> bytes:
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        return gzip.decompress(raw) if self.headers.get("Content-Encoding") == "gzip" else raw

    def _send(self, answer: dict[str, Any]) -> None:
        content = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


class _Http(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), ConnectionError):  # the client closes connections without notice
            super().handle_error(request, client_address)


@contextmanager
def serving() -> Iterator[Server]:
    """Context with a running server on a free port of the loopback interface."""
    state = Server()
    http = _Http(("127.0.0.1", 0), type("Handler", (_Handler,), {"state": state}))
    state.url = f"http://127.0.0.1:{http.server_address[1]}"
    thread = threading.Thread(target=http.serve_forever, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        http.shutdown()
        http.server_close()
        thread.join()
