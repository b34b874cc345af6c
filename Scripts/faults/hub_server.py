#!/usr/bin/env python3
"""A hub on this machine: what Hugging Face's and ModelScope's servers answer, with what goes wrong on the way.

    Scripts/faults/hub_server.py ROOT [--port N] [--page N]

ROOT holds repositories as folders: models/<owner>/<name>, datasets/<owner>/<name>. A file `.hub.json` in one says what is
special about it: {"gated": true}, {"private": true}, {"moved_to": "owner/name"}, {"xet": true}; folders below `.revisions` are
revisions of its files beside the main one. The first line of output is {"hub": "http://…", "cdn": "http://…"}: large files are
answered by a redirect to a second server, which stands for the stores of the hubs and refuses requests with a token.

Tokens: hf_good may do everything; hf_limited reads what is public and has accepted no conditions; others are unknown.

POST /__control takes {"rules": [...]}; each rule {"match": REGEX, "times": N, …} acts on the next N requests whose
"METHOD host path" fits: "status" with "headers" and "text", "drop_after": BYTES, "corrupt": true, "stall": SECONDS,
"ignore_range": true, "wrong_range": true, "rate": BYTES PER SECOND. GET /__log lists the requests with the bytes sent.
"""

import argparse
import base64
import hashlib
import http.server
import json
import pathlib
import re
import socket
import sys
import threading
import time
import urllib.parse

LARGE = 1 << 20
LARGE_ENDINGS = (".safetensors", ".bin", ".gguf", ".parquet", ".pt", ".model")
TOKENS = {"hf_good": "tester", "hf_limited": "guest"}


class Refusal(Exception):
    def __init__(self, status, code="", message="", headers=None):
        self.status, self.code, self.message, self.headers = status, code, message, headers or {}


class Repository:
    """A folder as a hub sees it: commits, digests, what is large."""

    digests = {}
    lock = threading.Lock()

    def __init__(self, hub, kind, name):
        self.hub, self.kind, self.name = hub, kind, name
        self.folder = hub.root / f"{kind}s" / name
        self.exists = self.folder.is_dir()
        settings = self.folder / ".hub.json"
        self.settings = json.loads(settings.read_text()) if settings.exists() else {}

    def revision(self, name):
        """The folder and the commit of a branch, tag or commit."""
        folders = {"main": self.folder, "master": self.folder}
        others = self.folder / ".revisions"
        if others.is_dir():
            folders |= {entry.name: entry for entry in others.iterdir()}
        for branch, folder in folders.items():
            commit = self.commit(folder)
            if name in (branch, commit):
                return folder, commit
        raise Refusal(404, "RevisionNotFound", f"Invalid rev id: {name}")

    def commit(self, folder):
        listing = "".join(f"{path}{self.digest(folder / path)[0]}" for path in self.paths(folder))
        return hashlib.sha1((self.name + listing).encode()).hexdigest()

    def paths(self, folder):
        return sorted(
            str(path.relative_to(folder)) for path in folder.rglob("*")
            if path.is_file() and not str(path.relative_to(folder)).startswith((".hub", ".revisions")))

    @classmethod
    def digest(cls, path):
        """SHA-256 and git's digest, kept while the file does not change."""
        stat = path.stat()
        key = (str(path), stat.st_size, stat.st_mtime_ns)
        with cls.lock:
            if key not in cls.digests:
                sha256, sha1 = hashlib.sha256(), hashlib.sha1(f"blob {stat.st_size}\0".encode())
                with open(path, "rb") as file:
                    while chunk := file.read(1 << 20):
                        sha256.update(chunk)
                        sha1.update(chunk)
                cls.digests[key] = (sha256.hexdigest(), sha1.hexdigest())
            return cls.digests[key]

    def is_large(self, path):
        return path.stat().st_size >= LARGE or path.name.endswith(LARGE_ENDINGS)


class Hub:
    def __init__(self, root, page):
        self.root, self.page = pathlib.Path(root), page
        self.rules, self.log, self.lock = [], [], threading.Lock()
        self.blobs, self.uploads, self.parts = {}, {}, {}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.handle_request()

    do_HEAD = do_POST = do_PUT = do_GET

    def handle_request(self):
        hub = self.server.hub
        length = int(self.headers.get("Content-Length") or 0)
        self.body = self.rfile.read(length) if length else b""
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            self.body = self.chunked()
        self.url = urllib.parse.urlsplit(self.path)
        self.query = dict(urllib.parse.parse_qsl(self.url.query))
        self.entry = {
            "method": self.command, "host": self.server.role, "path": self.path, "range": self.headers.get("Range"),
            "authorization": self.headers.get("Authorization"), "sent": 0, "status": None,
        }
        self.rule = None
        if self.url.path == "/__control":
            with hub.lock:
                hub.rules = json.loads(self.body).get("rules", [])
                hub.log = []
            return self.reply(200, {})
        if self.url.path == "/__log":
            with hub.lock:
                log = [dict(entry) for entry in hub.log]
            return self.reply(200, log)
        with hub.lock:
            hub.log.append(self.entry)
            for rule in hub.rules:
                if rule.get("times", 1) > 0 and re.search(rule["match"], f"{self.command} {self.server.role} {self.path}"):
                    rule["times"] = rule.get("times", 1) - 1
                    self.rule = rule
                    break
        try:
            if self.rule and "stall" in self.rule:
                time.sleep(self.rule["stall"])
            if self.rule and "status" in self.rule:
                return self.reply(
                    self.rule["status"], self.rule.get("text", "no"), headers=self.rule.get("headers", {}))
            if self.rule and "hang_up" in self.rule:
                self.close_connection = True
                return self.connection.shutdown(socket.SHUT_RDWR)
            (self.cdn if self.server.role == "cdn" else self.route)()
        except Refusal as refusal:
            headers = dict(refusal.headers)
            if refusal.code:
                headers["X-Error-Code"] = refusal.code
            if refusal.message:
                headers["X-Error-Message"] = refusal.message
            self.reply(refusal.status, {"error": refusal.message or "refused"}, headers=headers)
        except ScopeRefusal as refusal:
            self.scope(refusal.status, None, refusal.code, refusal.message)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def chunked(self):
        body = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    # --- Answers ---------------------------------------------------------------------------------------------------

    def reply(self, status, body, headers=None, kind="application/json"):
        data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        self.entry["status"] = status
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def redirect(self, location, headers=None, status=302):
        self.reply(status, "", headers={"Location": location, **(headers or {})}, kind="text/plain")

    def send_file(self, path, headers=None):
        """A file or the part that `Range` asks for, spoiled as the rule says."""
        rule = self.rule or {}
        size = path.stat().st_size
        start, status = 0, 200
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range") or "")
        end = size
        if asked and not rule.get("ignore_range"):
            start, status = int(asked[1]), 206
            end = min(size, int(asked[2]) + 1) if asked[2] else size
            if start >= size:
                self.entry["status"] = 416
                return self.reply(416, "", headers={"Content-Range": f"bytes */{size}"})
            if rule.get("wrong_range"):
                start = max(0, start - 7)
        self.entry["status"] = status
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        if status == 206:
            self.send_header("Content-Range", f"bytes {start}-{end - 1}/{size}")
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(end - start))
        self.end_headers()
        if self.command == "HEAD":
            return
        limit = rule.get("drop_after")
        rate = rule.get("rate") or self.server.hub.__dict__.get("rate")
        # Little lies in the socket, so that what was sent is about what has come.
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 16)
        with open(path, "rb") as file:
            file.seek(start)
            left, first = end - start, True
            while left > 0:
                piece = file.read(min(left, 1 << 14 if rate else 1 << 16))
                if rule.get("corrupt") and first:
                    piece = bytes([piece[0] ^ 1]) + piece[1:]
                first = False
                if limit is not None and self.entry["sent"] + len(piece) > limit:
                    self.wfile.write(piece[: limit - self.entry["sent"]])
                    self.entry["sent"] = limit
                    self.close_connection = True
                    self.connection.shutdown(socket.SHUT_RDWR)
                    return
                self.wfile.write(piece)
                self.entry["sent"] += len(piece)
                left -= len(piece)
                if rate:
                    time.sleep(len(piece) / rate)

    # --- Who asks --------------------------------------------------------------------------------------------------

    def user(self):
        header = self.headers.get("Authorization") or ""
        if not header:
            return None
        name = TOKENS.get(header.removeprefix("Bearer "))
        if name is None:
            raise Refusal(401, "", "Invalid credentials in Authorization header")
        return name

    def repository(self, kind, name):
        user = self.user()
        repository = Repository(self.server.hub, kind, name)
        if not repository.exists or repository.settings.get("private") and user != "tester":
            if user is None:
                raise Refusal(401, "RepoNotFound", "Invalid username or password.")
            raise Refusal(404, "RepoNotFound", "Repository not found")
        return repository

    def check_gate(self, repository):
        if not repository.settings.get("gated") or self.user() == "tester":
            return
        if self.user() is None:
            raise Refusal(
                401, "GatedRepo",
                f"Access to {repository.kind} {repository.name} is restricted. You must have access to it and be "
                "authenticated to access it. Please log in.")
        raise Refusal(
            403, "GatedRepo",
            f"Access to {repository.kind} {repository.name} is restricted and you are not in the authorized list. "
            f"Visit {self.server.address}/{repository.name} to ask for access.")

    # --- Routes ----------------------------------------------------------------------------------------------------

    def route(self):
        path = self.url.path
        for pattern, action in self.routes:
            if match := re.fullmatch(pattern, path):
                return action(self, *[urllib.parse.unquote(group or "") for group in match.groups()])
        raise Refusal(404, "", "Not found")

    def moved(self, kind, name):
        """Answers a request for a repository of an earlier name; whether it was one."""
        target = Repository(self.server.hub, kind, name).settings.get("moved_to")
        if target:
            self.redirect(self.path.replace(name, target, 1), status=307)
        return bool(target)

    def info(self, kinds, name, revision=""):
        kind = kinds[:-1]
        if self.moved(kind, name):
            return
        repository = self.repository(kind, name)
        folder, commit = repository.revision(revision or "main")
        self.reply(200, {
            "_id": commit[:24], "id": name, "modelId": name, "sha": commit, "private": bool(repository.settings.get("private")),
            "gated": "manual" if repository.settings.get("gated") else False, "tags": [], "downloads": 0, "likes": 0,
            "siblings": [{"rfilename": path} for path in repository.paths(folder)],
        })

    def tree(self, kinds, name, revision, _=""):
        kind = kinds[:-1]
        if self.moved(kind, name):
            return
        repository = self.repository(kind, name)
        folder, _ = repository.revision(revision)
        entries = []
        for path in repository.paths(folder):
            file = folder / path
            sha256, sha1 = repository.digest(file)
            entry = {"type": "file", "oid": sha1, "size": file.stat().st_size, "path": path}
            if repository.is_large(file):
                entry["oid"] = hashlib.sha1(f"pointer of {sha256}".encode()).hexdigest()
                entry["lfs"] = {"oid": sha256, "size": entry["size"], "pointerSize": 134}
                if repository.settings.get("xet"):
                    entry["xetHash"] = hashlib.sha256(sha256.encode()).hexdigest()
            entries.append(entry)
        folders = {str(parent) for path in repository.paths(folder) for parent in pathlib.Path(path).parents} - {"."}
        entries = [{"type": "directory", "oid": "0" * 40, "size": 0, "path": path} for path in sorted(folders)] + entries
        start = int(self.query.get("cursor", 0))
        end = start + self.server.hub.page
        headers = {}
        if end < len(entries):
            query = urllib.parse.urlencode({"recursive": "true", "expand": "false", "cursor": end})
            headers["Link"] = f'<{self.server.address}{self.url.path}?{query}>; rel="next"'
        self.reply(200, entries[start:end], headers=headers)

    def resolve(self, prefix, name, revision, path):
        kind = "dataset" if prefix else "model"
        if self.moved(kind, name):
            return
        repository = self.repository(kind, name)
        self.check_gate(repository)
        folder, commit = repository.revision(revision)
        file = folder / path
        if path not in repository.paths(folder):
            raise Refusal(404, "EntryNotFound", "Entry not found", {"X-Repo-Commit": commit})
        sha256, sha1 = repository.digest(file)
        headers = {"X-Repo-Commit": commit}
        if not repository.is_large(file):
            return self.send_file(file, {**headers, "ETag": f'"{sha1}"', "Content-Disposition": "inline"})
        self.server.hub.blobs[sha256] = file
        if repository.settings.get("xet"):
            headers["X-Xet-Hash"] = hashlib.sha256(sha256.encode()).hexdigest()
        self.redirect(
            f"{self.server.other}/blobs/{sha256}?X-Amz-Signature=abc&Expires=1",
            {**headers, "X-Linked-Etag": f'"{sha256}"', "X-Linked-Size": str(file.stat().st_size),
             "ETag": '"the-redirect"', "Accept-Ranges": "bytes"})

    def whoami(self):
        user = self.user()
        if user is None:
            raise Refusal(401, "", "Invalid username or password.")
        self.reply(200, {"name": user, "type": "user", "orgs": []})

    def validate(self):
        self.reply(200, {"errors": [], "warnings": []})

    def cdn(self):
        if self.headers.get("Authorization"):
            return self.reply(400, "<Error><Code>InvalidArgument</Code>Only one auth mechanism allowed</Error>")
        if match := re.fullmatch(r"/blobs/([0-9a-f]{64})", self.url.path):
            path = self.server.hub.blobs.get(match[1])
            if path is None or "X-Amz-Signature" not in self.query:
                return self.reply(403, "<Error><Code>AccessDenied</Code></Error>")
            return self.send_file(path, {"ETag": '"of-the-store"'})
        if (match := re.fullmatch(r"/uploads/([0-9a-f]{64})", self.url.path)) and self.command == "PUT":
            part = int(self.query.get("part", 0))
            self.server.hub.parts.setdefault(match[1], {})[part] = self.body
            return self.reply(200, "", headers={"ETag": f'"{hashlib.md5(self.body).hexdigest()}"'})
        self.reply(404, "")

    # --- Publishing ------------------------------------------------------------------------------------------------

    def writer(self):
        user = self.user()
        if user is None:
            raise Refusal(401, "", "Invalid username or password.")
        if user != "tester":
            raise Refusal(403, "", "You don't have the rights to create a model under the namespace")

    def create(self):
        self.writer()
        wanted = json.loads(self.body)
        name = f"{wanted.get('organization') or 'tester'}/{wanted['name']}"
        folder = self.server.hub.root / f"{wanted.get('type') or 'model'}s" / name
        if folder.exists():
            return self.reply(409, {"error": "You already created this model repo", "url": f"{self.server.address}/{name}"})
        folder.mkdir(parents=True)
        (folder / ".gitattributes").write_text("*.safetensors filter=lfs diff=lfs merge=lfs -text\n")
        if wanted.get("private") or wanted.get("visibility") == "private":
            (folder / ".hub.json").write_text('{"private": true}')
        self.reply(200, {"url": f"{self.server.address}/{name}", "name": name, "id": "1"})

    def preupload(self, kinds, name, revision):
        self.writer()
        self.repository(kinds[:-1], name)
        files = []
        for file in json.loads(self.body)["files"]:
            assert len(base64.b64decode(file["sample"])) == min(512, file["size"])
            large = file["path"].endswith(LARGE_ENDINGS) or file["size"] > 10 << 20
            files.append({"path": file["path"], "uploadMode": "lfs" if large else "regular", "shouldIgnore": False})
        self.reply(200, {"files": files})

    def batch(self, prefix, name):
        self.writer()
        self.repository("dataset" if prefix else "model", name)
        wanted = json.loads(self.body)
        assert wanted["operation"] == "upload" and wanted["hash_algo"] == "sha256"
        objects, chunk = [], self.server.hub.__dict__.get("chunk", 8 << 20)
        for item in wanted["objects"]:
            oid, size = item["oid"], item["size"]
            entry = {"oid": oid, "size": size, "authenticated": True}
            if oid not in self.server.hub.uploads:
                verify = {"href": f"{self.server.address}/{name}.git/info/lfs/objects/verify", "header": {}}
                upload = {"href": f"{self.server.other}/uploads/{oid}?X-Amz-Signature=abc", "header": {}}
                if size > chunk and "multipart" in wanted["transfers"]:
                    parts = (size + chunk - 1) // chunk
                    upload = {
                        "href": f"{self.server.address}/{name}.git/info/lfs/objects/complete?oid={oid}",
                        "header": {"chunk_size": str(chunk)} | {
                            f"{part:05}": f"{self.server.other}/uploads/{oid}?part={part}&X-Amz-Signature=abc"
                            for part in range(1, parts + 1)},
                    }
                entry["actions"] = {"upload": upload, "verify": verify}
            objects.append(entry)
        self.reply(200, {"transfer": "multipart", "objects": objects}, kind="application/vnd.git-lfs+json")

    def complete(self, name):
        wanted = json.loads(self.body)
        parts = self.server.hub.parts.get(wanted["oid"], {})
        assert [part["partNumber"] for part in wanted["parts"]] == sorted(parts)
        for part in wanted["parts"]:
            assert part["etag"].strip('"') == hashlib.md5(parts[part["partNumber"]]).hexdigest()
        self.reply(200, {"success": True})

    def verify(self, name):
        self.writer()
        wanted = json.loads(self.body)
        parts = self.server.hub.parts.pop(wanted["oid"], {})
        data = b"".join(parts[part] for part in sorted(parts))
        if len(data) != wanted["size"] or hashlib.sha256(data).hexdigest() != wanted["oid"]:
            raise Refusal(422, "", "The object is not what was announced")
        self.server.hub.uploads[wanted["oid"]] = data
        self.reply(200, {})

    def commit(self, kinds, name, revision):
        self.writer()
        repository = self.repository(kinds[:-1], name)
        assert self.headers["Content-Type"] == "application/x-ndjson"
        lines = [json.loads(line) for line in self.body.splitlines()]
        assert lines[0]["key"] == "header" and lines[0]["value"]["summary"]
        for line in lines[1:]:
            value = line["value"]
            path = repository.folder / value["path"]
            path.parent.mkdir(parents=True, exist_ok=True)
            if line["key"] == "file":
                assert value["encoding"] == "base64"
                path.write_bytes(base64.b64decode(value["content"]))
            elif line["key"] == "lfsFile":
                path.write_bytes(self.server.hub.uploads[value["oid"]])
            else:
                raise Refusal(400, "", f"unknown operation {line['key']}")
        commit = repository.commit(repository.folder)
        self.reply(200, {
            "success": True, "commitOid": commit, "commitUrl": f"{self.server.address}/{name}/commit/{commit}",
            "hookOutput": ""})

    # --- ModelScope ------------------------------------------------------------------------------------------------

    def scope_repository(self, kinds, name, revision):
        repository = Repository(self.server.hub, kinds[:-1], name)
        user = TOKENS.get((self.headers.get("Authorization") or "").removeprefix("Bearer "))
        if not repository.exists or repository.settings.get("private") and user != "tester":
            raise ScopeRefusal(404, 10010205001, f"获取模型信息失败，信息不存在: {name} not found")
        try:
            return repository, *repository.revision(revision)
        except Refusal:
            raise ScopeRefusal(404, 10010205002, f"revision {revision} not found")

    def scope(self, status, data, code=200, message="success"):
        self.reply(status, {
            "Code": code, "Data": data, "Message": message, "RequestId": "1", "Success": code == 200})

    def scope_files(self, kinds, name, _):
        try:
            repository, folder, commit = self.scope_repository(kinds, name, self.query.get("Revision", "master"))
        except ScopeRefusal as refusal:
            return self.scope(refusal.status, None, refusal.code, refusal.message)
        entries, folders = [], set()
        root = self.query.get("Root", "").strip("/")
        recursive = self.query.get("Recursive", "False") == "True"
        for path in repository.paths(folder):
            if root and not path.startswith(f"{root}/"):
                continue
            below = path[len(root) + 1 if root else 0:]
            parents = [str(parent) for parent in pathlib.PurePosixPath(below).parents if str(parent) != "."]
            for parent in parents if recursive else parents[-1:]:
                folders.add(f"{root}/{parent}".strip("/"))
            if parents and not recursive:
                continue
            file = folder / path
            entries.append({
                "Path": path, "Name": pathlib.PurePosixPath(path).name, "Type": "blob", "Size": file.stat().st_size,
                "Sha256": repository.digest(file)[0], "IsLFS": repository.is_large(file), "Revision": commit, "Mode": "33188"})
        entries = [{"Path": path, "Name": pathlib.PurePosixPath(path).name, "Type": "tree", "Size": 0, "Sha256": ""}
                   for path in sorted(folders)] + entries
        if "PageNumber" in self.query:
            size = int(self.query["PageSize"])
            start = (int(self.query["PageNumber"]) - 1) * size
            entries = entries[start:start + size]
        else:
            entries = entries[:3000]
        self.scope(200, {"Files": entries, "IsVisual": 0})

    def scope_bytes(self, kinds, name):
        try:
            repository, folder, _ = self.scope_repository(kinds, name, self.query.get("Revision", "master"))
        except ScopeRefusal as refusal:
            return self.scope(refusal.status, None, refusal.code, refusal.message)
        path = self.query["FilePath"]
        file = folder / path
        if path not in repository.paths(folder):
            return self.scope(404, None, 10010205003, f"{path} not found")
        sha256 = repository.digest(file)[0]
        if not repository.is_large(file):
            return self.send_file(file, {"ETag": f'"{sha256}"'})
        self.server.hub.blobs[sha256] = file
        self.redirect(f"{self.server.other}/blobs/{sha256}?X-Amz-Signature=abc")

    def scope_revisions(self, kinds, name):
        self.scope(200, {"RevisionMap": {"Branches": [{"Revision": "master"}], "Tags": []}})

    def scope_info(self, kinds, name):
        try:
            self.scope_repository(kinds, name, "master")
        except ScopeRefusal as refusal:
            return self.scope(refusal.status, None, refusal.code, refusal.message)
        self.scope(200, {"Id": 1, "Name": name.split("/")[-1], "Path": name.split("/")[0]})

    def scope_writer(self):
        user = TOKENS.get((self.headers.get("Authorization") or "").removeprefix("Bearer "))
        if user is None:
            raise ScopeRefusal(401, 10010103001, "invalid token")
        if user != "tester":
            raise ScopeRefusal(403, 10010103002, "no permission to write")
        return user

    def scope_user(self):
        self.reply(200, {"success": True, "data": {"username": self.scope_writer()}})

    def scope_create(self):
        self.scope_writer()
        wanted = json.loads(self.body)
        assert wanted["Visibility"] in (1, 5) and wanted["License"]
        folder = self.server.hub.root / "models" / wanted["Path"] / wanted["Name"]
        if folder.exists():
            raise ScopeRefusal(400, 10010203001, "the name is taken")
        folder.mkdir(parents=True)
        if wanted["Visibility"] == 1:
            (folder / ".hub.json").write_text('{"private": true}')
        self.scope(200, {"Id": 1})

    def scope_batch(self, kinds, name):
        self.scope_writer()
        self.scope_repository(kinds, name, "master")
        wanted = json.loads(self.body)
        assert wanted["operation"] == "upload" and len(wanted["objects"]) <= 64
        self.scope(200, {"objects": [
            item if item["oid"] in self.server.hub.uploads else
            item | {"actions": {"upload": {"href": f"{self.server.address}/api/v1/lfs/{item['oid']}"}}}
            for item in wanted["objects"]]})

    def scope_store(self, oid):
        self.scope_writer()
        if self.command != "PUT" or hashlib.sha256(self.body).hexdigest() != oid:
            raise ScopeRefusal(200, 10010206001, "not the object that was announced")
        self.server.hub.uploads[oid] = self.body
        self.scope(200, {})

    def scope_commit(self, kinds, name, revision):
        self.scope_writer()
        repository, folder, _ = self.scope_repository(kinds, name, revision)
        wanted = json.loads(self.body)
        assert wanted["commit_message"]
        for action in wanted["actions"]:
            assert action["action"] == "create"
            path = folder / action["path"]
            path.parent.mkdir(parents=True, exist_ok=True)
            data = base64.b64decode(action["content"])
            if action["type"] == "lfs":
                assert (action["content"], action["encoding"]) == ("", "")
                data = self.server.hub.uploads[action["sha256"]]
            else:
                assert (action["type"], action["encoding"], action["sha256"]) == ("normal", "base64", "")
            assert len(data) == action["size"]
            path.write_bytes(data)
        self.scope(200, {"oid": repository.commit(folder)})

    id = r"([\w.-]+/[\w.-]+|[\w.-]+)"
    routes = [
        (r"/api/whoami-v2", whoami),
        (r"/api/repos/create", create),
        (r"/api/validate-yaml", validate),
        (r"/openapi/v1/users/me", scope_user),
        (r"/api/v1/models", scope_create),
        (r"/api/v1/lfs/([0-9a-f]{64})", scope_store),
        (rf"/api/v1/repos/(models|datasets)/{id}/info/lfs/objects/batch", scope_batch),
        (rf"/api/v1/repos/(models|datasets)/{id}/commit/([^/]+)", scope_commit),
        (rf"/api/v1/(models|datasets)/{id}/repo/(files|tree)", scope_files),
        (rf"/api/v1/(models|datasets)/{id}/repo", scope_bytes),
        (rf"/api/v1/(models|datasets)/{id}/revisions", scope_revisions),
        (rf"/api/v1/(models|datasets)/{id}", scope_info),
        (rf"/api/(models|datasets)/{id}/revision/([^/]+)", info),
        (rf"/api/(models|datasets)/{id}/tree/([^/]+)(/.*)?", tree),
        (rf"/api/(models|datasets)/{id}/preupload/([^/]+)", preupload),
        (rf"/api/(models|datasets)/{id}/commit/([^/]+)", commit),
        (rf"/api/(models|datasets)/{id}", info),
        (rf"/(datasets/)?{id}/resolve/([^/]+)/(.+)", resolve),
        (rf"/(datasets/)?{id}\.git/info/lfs/objects/batch", batch),
        (rf"/{id}\.git/info/lfs/objects/complete", complete),
        (rf"/{id}\.git/info/lfs/objects/verify", verify),
    ]


class ScopeRefusal(Exception):
    def __init__(self, status, code, message):
        self.status, self.code, self.message = status, code, message


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, hub, role, host, port=0):
        super().__init__((host, port), Handler)
        self.hub, self.role = hub, role
        # The store has another name too: some clients look at names alone.
        self.address = f"http://{'localhost' if role == 'cdn' else host}:{self.server_address[1]}"

    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], (BrokenPipeError, ConnectionResetError)):
            super().handle_error(request, client_address)


def start(root, port=0, page=1000):
    """Starts both servers in threads; the hub and the addresses."""
    hub = Hub(root, page)
    api, cdn = Server(hub, "hub", "127.0.0.1", port), Server(hub, "cdn", "127.0.0.1")
    api.other, cdn.other = cdn.address, api.address
    for server in (api, cdn):
        threading.Thread(target=server.serve_forever, daemon=True).start()
    return hub, api.address, cdn.address


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("root")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--page", type=int, default=1000)
    options = parser.parse_args()
    hub, address, cdn = start(options.root, options.port, options.page)
    print(json.dumps({"hub": address, "cdn": cdn}), flush=True)
    # Lines of input do what __control does, and are answered by what __log answers. When the input ends, whoever started the
    # server has gone.
    for line in sys.stdin:
        with hub.lock:
            log = [dict(entry) for entry in hub.log]
            control = json.loads(line)
            if "rules" in control:
                hub.rules, hub.log = control["rules"], []
            hub.__dict__.update({name: control[name] for name in ("rate", "chunk") if name in control})
        print(json.dumps(log), flush=True)


if __name__ == "__main__":
    main()
