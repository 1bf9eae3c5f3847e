"""Bad input over the API: a stable code, a sentence, the right status, and nothing left behind."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from tests.support.api_service import Served, client_of, make_key, multipart, serving, zipped

GIT = {"prompt": "Fix it", "source": {"git": {"url": "https://example.org/a/b.git"}}}
NOBODY = "task_00000000000000000000000000"


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    async with serving(tmp_path, max_upload_mb=1) as api:
        yield api


async def nothing_is_left(served: Served) -> bool:
    listed = (await served.client.get("/api/v1/tasks")).json()["items"]
    objects = await served.platform.objects.names("codexsys-code/")
    folder = served.platform.settings.data_dir / "tmp"
    files = list(folder.glob("*/upload-*"))
    return listed == [] and objects == [] and files == []


def git(**more: Any) -> dict[str, Any]:
    return {"prompt": "Fix it", "source": {"git": {"url": "https://example.org/a.git", **more}}}


@pytest.mark.parametrize(
    ("body", "code", "pointer"),
    [
        ({**GIT, "colour": "red"}, "invalid", "/colour"),
        ({**GIT, "prompt": 7}, "invalid", "/prompt"),
        ({**GIT, "prompt": " "}, "invalid", "/prompt"),
        ({"source": GIT["source"]}, "invalid", "/prompt"),
        ({"prompt": "x"}, "invalid", "/source"),
        ({**GIT, "limits": {"calls": "9"}}, "invalid", "/limits/calls"),
        ({**GIT, "limits": {"calls": 0}}, "invalid", "/limits/calls"),
        ({**GIT, "checks": {"fast": True}}, "invalid", "/checks/fast"),
        ({**GIT, "checks": {"command": " "}}, "invalid", "/checks/command"),
        ({**GIT, "checks": {"command": "a\0b"}}, "invalid", "/checks/command"),
        ({**GIT, "labels": {"größe": "x"}}, "invalid", "/labels"),
        ({**GIT, "mode": "destroy"}, "invalid", "/mode"),
        ({**GIT, "mode": "pull_request"}, "forge_not_configured", "/mode"),
        ({**GIT, "engine": "command"}, "invalid", "/command"),
        ({**GIT, "deliver": {}}, "not_available_yet", "/deliver"),
        ({**GIT, "webhook": None}, "not_available_yet", "/webhook"),
        ({**GIT, "environment": "env_1"}, "invalid", "/environment"),
        (git(credential="cred_1"), "not_available_yet", "/source/git/credential"),
        ({"prompt": "x", "source": {"task": NOBODY}}, "source_task_not_found", "/source/task"),
        (
            {"prompt": "x", "source": {"git": {"url": "https://127.0.0.1/a.git"}}},
            "address_denied",
            "/source/git/url",
        ),
        (
            {"prompt": "x", "source": {"git": {"url": "file:///etc"}}},
            "url_refused",
            "/source/git/url",
        ),
        ([], "invalid", ""),
    ],
)
async def test_a_wrong_body_names_the_field(
    served: Served, body: Any, code: str, pointer: str
) -> None:
    answer = await served.client.post("/api/v1/tasks", json=body)
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (422, code), problem
    assert answer.headers["content-type"] == "application/problem+json"
    assert pointer in [each["pointer"] for each in problem["errors"]]
    assert problem["detail"]
    assert problem["request_id"] == answer.headers["x-request-id"]
    assert await nothing_is_left(served)


async def test_what_is_no_json_or_no_known_type_is_refused(served: Served) -> None:
    kinds = {"content-type": "application/json"}
    broken = await served.client.post("/api/v1/tasks", content=b"{", headers=kinds)
    assert (broken.status_code, broken.json()["code"]) == (400, "bad_json")
    text = await served.client.post(
        "/api/v1/tasks", content=b"x", headers={"content-type": "text/plain"}
    )
    assert (text.status_code, text.json()["code"]) == (415, "media_type")
    kinds = {"content-type": "multipart/form-data; boundary=x"}
    torn = await served.client.post("/api/v1/tasks", content=b"nothing", headers=kinds)
    assert (torn.status_code, torn.json()["code"]) == (400, "bad_multipart")


async def test_a_large_json_body_is_refused(served: Served) -> None:
    answer = await served.client.post("/api/v1/tasks", json={"prompt": "x" * (1 << 20)})
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "0 bytes"),
        (b"this is no zip at all", ""),
        (zipped({"../out.txt": "x"}), ""),
        (zipped({".git/config": "x"}), ""),
        (zipped({"bomb.txt": "0" * (200 << 20)}), ""),
    ],
    ids=["empty", "no zip", "escape", "git folder", "bomb"],
)
async def test_a_bad_zip_is_refused(served: Served, content: bytes, said: str) -> None:
    files = multipart('{"prompt": "x"}', content)
    answer = await served.client.post("/api/v1/tasks", files=files)
    assert (answer.status_code, answer.json()["code"]) == (422, "zip_refused"), answer.text
    assert said in answer.json()["detail"]
    assert await nothing_is_left(served)


async def test_parts_that_are_missing_or_unknown_are_named(served: Served) -> None:
    zip_ = ("a.zip", zipped({"a": "1"}))
    for files, pointer in (
        ({"file": zip_}, "/task"),
        ({"task": (None, '{"prompt": "x"}'), "other": (None, "1")}, "/other"),
        ({"task": (None, json.dumps(GIT)), "file": zip_}, "/source"),
    ):
        answer = await served.client.post("/api/v1/tasks", files=files)  # type: ignore[arg-type]
        assert answer.status_code == 422, answer.text
        assert answer.json()["errors"][0]["pointer"] == pointer
    assert await nothing_is_left(served)


HEAD = b'--x\r\nContent-Disposition: form-data; name="%s"%s\r\n\r\n'
A_FILE = HEAD % (b"file", b'; filename="a.zip"')


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        ("multipart/form-data", A_FILE),
        ("multipart/form-data; boundary=x", b"--y\r\n"),
        ("multipart/form-data; boundary=x", (A_FILE + b"PK\r\n") * 2 + b"--x--\r\n"),
        ("multipart/form-data; boundary=x", HEAD % (b"task", b"") + b"x" * ((1 << 20) + 1)),
        ("multipart/form-data; boundary=x", HEAD[:-4].replace(b'name="%s"%s', b"") + b"\r\n\r\nx"),
        (
            "multipart/form-data; boundary=x",
            b"".join(HEAD % (b"f%d" % number, b"") + b"1\r\n" for number in range(65)),
        ),
    ],
    ids=["no boundary", "another's", "two files", "large field", "no name", "many fields"],
)
async def test_a_form_that_cannot_be_read_says_why(
    served: Served, kind: str, content: bytes
) -> None:
    kinds = {"content-type": kind}
    answer = await served.client.post("/api/v1/tasks", content=content, headers=kinds)
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_multipart"), answer.text
    assert await nothing_is_left(served)


async def test_a_form_that_breaks_off_names_what_did_not_come(served: Served) -> None:
    kinds = {"content-type": "multipart/form-data; boundary=x"}
    whole = HEAD % (b"task", b"") + b'{"prompt": "x"}\r\n'
    answer = await served.client.post(
        "/api/v1/tasks", content=whole + A_FILE + b"PK" * 400_000, headers=kinds
    )
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/file")
    assert await nothing_is_left(served)


async def test_a_task_that_comes_as_a_file_is_refused(served: Served) -> None:
    files = {"task": ("task.json", b'{"prompt": "x"}')}
    answer = await served.client.post("/api/v1/tasks", files=files)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/task")
    assert await nothing_is_left(served)


async def test_a_sign_in_of_too_many_fields_is_refused(served: Served) -> None:
    kinds = {"content-type": "application/x-www-form-urlencoded", "sec-fetch-site": "same-origin"}
    answer = await served.client.post("/sign-in", content=b"a=1&" * 1001, headers=kinds)
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_multipart")


async def endless(head: bytes, megabytes: int) -> AsyncIterator[bytes]:
    yield head
    for _ in range(megabytes):
        yield bytes(1 << 20)


async def test_a_body_of_300_mb_is_refused_also_in_chunks(served: Served) -> None:
    head = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.zip"\r\n\r\n'
    kinds = {"content-type": "multipart/form-data; boundary=x"}
    answer = await served.client.post("/api/v1/tasks", content=endless(head, 300), headers=kinds)
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
    assert await nothing_is_left(served)


async def test_a_declared_body_of_300_mb_is_refused_before_it_is_sent(served: Served) -> None:
    address = urlsplit(served.url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    head = (
        f"POST /api/v1/tasks HTTP/1.1\r\nHost: {address.netloc}\r\n"
        f"Authorization: Bearer {served.key}\r\nContent-Length: {300 << 20}\r\n"
        "Content-Type: multipart/form-data; boundary=x\r\n\r\n"
    )
    writer.write(head.encode())
    async with asyncio.timeout(10):
        assert b" 413 " in await reader.readline()
    writer.close()
    assert await nothing_is_left(served)


async def test_an_empty_body_says_what_is_missing(served: Served) -> None:
    kinds = {"content-type": "application/json"}
    answer = await served.client.post("/api/v1/tasks", content=b"", headers=kinds)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/prompt"


async def test_keys_that_are_missing_wrong_or_revoked(served: Served) -> None:
    for key, code in (
        (None, "key_missing"),
        ("cdx_nonsense", "key_unknown"),
        (served.key[:-1] + "-", "key_unknown"),
    ):
        async with client_of(served.url, key) as client:
            answer = await client.get("/api/v1/tasks")
        assert (answer.status_code, answer.json()["code"]) == (401, code)
        assert answer.headers["www-authenticate"].startswith("Bearer")
    made = (await served.client.post("/api/v1/keys", json={"name": "second"})).json()
    assert (await served.client.delete(f"/api/v1/keys/{made['id']}")).status_code == 204
    async with client_of(served.url, made["key"]) as client:
        assert (await client.get("/api/v1/me")).json()["code"] == "key_revoked"


async def test_unknown_things_and_those_of_others_are_not_found(served: Served) -> None:
    task = (await served.client.post("/api/v1/tasks", json=GIT)).json()
    _, other = await make_key(served.platform, "others")
    async with client_of(served.url, other) as stranger:
        for client, task_id in (
            (stranger, task["id"]),
            (served.client, NOBODY),
            (served.client, "é"),
        ):
            for rest in ("", "/events?after=0", "/logs", "/artifacts", "/attempts", "/shares"):
                answer = await client.get(f"/api/v1/tasks/{task_id}{rest}")
                assert (answer.status_code, answer.json()["code"]) == (404, "task_not_found")
            for act in ("cancel", "retry", "shares"):
                answer = await client.post(f"/api/v1/tasks/{task_id}/{act}")
                assert answer.status_code == 404
        assert (await stranger.get("/api/v1/tasks")).json()["items"] == []


async def test_addresses_and_methods_that_are_not_there(served: Served) -> None:
    lost = await served.client.get("/api/v1/nowhere")
    assert (lost.status_code, lost.json()["code"]) == (404, "not_found")
    wrong = await served.client.put("/api/v1/tasks")
    assert (wrong.status_code, wrong.json()["code"]) == (405, "method_not_allowed")
    assert (
        lost.headers["content-type"] == wrong.headers["content-type"] == "application/problem+json"
    )
    for path in ("/api/v1/schedules", "/api/v1/audit"):
        assert (await served.client.get(path)).json()["code"] == "not_available_yet"
    answer = await served.client.post("/api/v1/hooks/github", json={})
    assert (answer.status_code, answer.json()["code"]) == (422, "not_available_yet")


@pytest.mark.parametrize("query", ["limit=0", "limit=x", "cursor=!", "label=x", "status=odd"])
async def test_wrong_queries_are_named(served: Served, query: str) -> None:
    answer = await served.client.get(f"/api/v1/tasks?{query}")
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/" + query.partition("=")[0]


async def test_a_check_of_a_name_that_leads_to_this_host_is_denied(served: Served) -> None:
    body = {"prompt": "x", "source": {"git": {"url": "https://localhost/a.git"}}}
    answer = await served.client.post("/api/v1/tasks?check=true", json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, "address_denied"), answer.text
    assert await nothing_is_left(served)


async def test_a_check_of_an_unknown_host_says_so(served: Served) -> None:
    body = {"prompt": "x", "source": {"git": {"url": "https://nowhere.invalid/a.git"}}}
    answer = await asyncio.wait_for(served.client.post("/api/v1/tasks?check=true", json=body), 25)
    assert (answer.status_code, answer.json()["code"]) == (422, "host_unknown"), answer.text
    assert await nothing_is_left(served)
