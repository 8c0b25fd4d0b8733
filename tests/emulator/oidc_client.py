"""An OpenID Connect client as a strict application would write it: it trusts nothing but discovery and the keys."""

import base64
import hashlib
import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from quntedge.gateway.emulator.testing import RunningEmulator

REDIRECT = "http://127.0.0.1:3000/api/auth/callback/whop?from=test"
VERIFIER = "an-unguessable-verifier-of-at-least-43-characters"


def unpadded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def padded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


CHALLENGE = unpadded(hashlib.sha256(VERIFIER.encode()).digest())


def query_of(url: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}


@dataclass
class OidcClient:
    """One application."""

    emu: RunningEmulator
    http: httpx.AsyncClient
    document: dict[str, Any]
    client_id: str = "app_emulator"

    @classmethod
    async def discovered(cls, emu: RunningEmulator, http: httpx.AsyncClient, **over: str) -> "OidcClient":
        document = (await http.get(f"{emu.url}/.well-known/openid-configuration")).json()
        assert document["issuer"] == emu.url
        return cls(emu, http, document, **over)

    def authorize_url(self, **over: str | None) -> str:
        """Where the browser is sent. None leaves a parameter out."""
        query = {
            "response_type": "code",
            "client_id": self.client_id,
            "redirect_uri": REDIRECT,
            "scope": "openid profile email",
            "state": "state-1",
            "nonce": "nonce-1",
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
            **over,
        }
        given = {name: value for name, value in query.items() if value is not None}
        return f"{self.document['authorization_endpoint']}?{urlencode(given)}"

    async def code(self, email: str = "kim@customer.test", **over: str | None) -> str:
        """Signs in and returns the code."""
        back = await self.emu.sign_in(self.authorize_url(**over), email, "Kim")
        return query_of(back)["code"]

    async def token(self, **form: str) -> httpx.Response:
        """Asks the token endpoint, as a form."""
        return await self.http.post(self.document["token_endpoint"], data={"client_id": self.client_id, **form})

    async def exchange(self, code: str, **over: str) -> httpx.Response:
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": REDIRECT, "code_verifier": VERIFIER}
        return await self.token(**{**form, **over})

    async def refresh(self, token: str) -> httpx.Response:
        return await self.token(grant_type="refresh_token", refresh_token=token)

    async def tokens(self, email: str = "kim@customer.test", **over: str | None) -> dict[str, Any]:
        """Everything from sign-in to tokens."""
        answer = await self.exchange(await self.code(email, **over))
        assert answer.status_code == 200, answer.text
        assert answer.headers["cache-control"] == "no-store"
        tokens: dict[str, Any] = answer.json()
        return tokens

    async def userinfo(self, access_token: str) -> httpx.Response:
        head = {"authorization": f"Bearer {access_token}"}
        return await self.http.get(self.document["userinfo_endpoint"], headers=head)

    async def verified(self, token: str) -> dict[str, Any]:
        """The claims of a token, after its signature was checked with the published key it names."""
        head, body, signature = token.split(".")
        header = json.loads(padded(head))
        assert header["alg"] == "ES256"
        keys = (await self.http.get(self.document["jwks_uri"])).json()["keys"]
        (key,) = [one for one in keys if one["kid"] == header["kid"]]
        x, y = (int.from_bytes(padded(key[name])) for name in ("x", "y"))
        public = ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()
        raw = padded(signature)
        assert len(raw) == 64
        der = encode_dss_signature(int.from_bytes(raw[:32]), int.from_bytes(raw[32:]))
        public.verify(der, f"{head}.{body}".encode(), ec.ECDSA(hashes.SHA256()))
        claims: dict[str, Any] = json.loads(padded(body))
        return claims
