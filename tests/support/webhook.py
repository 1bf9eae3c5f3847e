"""An admission webhook of the cluster of tests that rejects what it is asked about."""

import base64
import json
import ssl
import subprocess
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.support.cluster import kubectl
from tests.support.served import Served
from typing_extensions import override


class Rejecting:
    """Rejects what is made of one kind in one namespace, with words of its own."""

    def __init__(self, folder: Path, host: str, *, namespace: str, group: str, kind: str) -> None:
        self._folder = folder
        self._host = host
        self._name = f"{namespace}-{kind}"
        self._rules = [
            {
                "apiGroups": [group],
                "apiVersions": ["v1"],
                "operations": ["CREATE"],
                "resources": [kind],
            }
        ]
        self._namespace = namespace

    def __enter__(self) -> Self:
        self._served = Served(_Answer, at=self._host, tls=self._certified()).start()
        kubectl("create", "-f", "-", feed=json.dumps(self._configuration()))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        kubectl("delete", "validatingwebhookconfiguration", self._name)
        self._served.stop()

    def _certified(self) -> ssl.SSLContext:
        key, self._certificate = self._folder / "key.pem", self._folder / "certificate.pem"
        make = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -subj /CN=webhook"
        subject = f"subjectAltName=IP:{self._host}"
        files = ["-keyout", str(key), "-out", str(self._certificate)]
        subprocess.run([*make.split(), "-addext", subject, *files], check=True, capture_output=True)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self._certificate, key)
        return context

    def _configuration(self) -> dict[str, Any]:
        authority = base64.b64encode(self._certificate.read_bytes()).decode()
        hook = {
            "name": "rejects.codexsys.dev",
            "admissionReviewVersions": ["v1"],
            "sideEffects": "None",
            "clientConfig": {
                "url": f"https://{self._host}:{self._served.port}/",
                "caBundle": authority,
            },
            "rules": self._rules,
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": self._namespace}},
        }
        return {
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "ValidatingWebhookConfiguration",
            "metadata": {"name": self._name},
            "webhooks": [hook],
        }


class _Answer(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        denied = {
            "uid": asked["request"]["uid"],
            "allowed": False,
            "status": {"message": "not on a Sunday"},
        }
        body = json.dumps({**asked, "request": None, "response": denied}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    @override
    def log_message(self, *_: object) -> None:
        pass
