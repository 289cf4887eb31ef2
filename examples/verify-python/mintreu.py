"""Reads Mintreu's signed documents strictly, in the order of checks that sdk/testdata/vectors/README.md gives.

Needs Python 3.9 and cryptography, which Debian has as python3-cryptography. Any JOSE library can verify these documents; what this module adds is
what a strict reader refuses beyond that: other spellings of one signature, duplicate members, claims of a wrong type, keys not meant for the product.
"""
import base64
import binascii
import hashlib
import hmac
import json
import re
import zlib

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

CAPS = {"license+jwt": 8192, "lease+jwt": 8192, "usage-receipt+jwt": 8192, "release+jwt": 8192, "keyset+jwt": 32768, "statuslist+jwt": 65536}
SKEW = 60
MAX_FILE = 256 << 10
STATUS_LIST_SIZE = 131072


class Refused(Exception):
    """A text is not what it should be; reason is one of the classes of the vectors."""

    def __init__(self, reason, detail=""):
        super().__init__(reason + (": " + detail if detail else ""))
        self.reason = reason


# --- bytes -----------------------------------------------------------------------------------------------------------------------------------

def decode64(text, reason="malformed"):
    """Decodes canonical base64url: its alphabet alone, no padding, unused bits zero."""
    if not re.fullmatch(r"[A-Za-z0-9_-]*", text):
        raise Refused(reason, "not base64url")
    try:
        raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError):
        raise Refused(reason, "not base64url") from None
    if encode64(raw) != text:
        raise Refused(reason, "not canonical base64url")
    return raw


def size(text):
    """The length of any text in bytes, also of one that is no Unicode."""
    return len(text.encode("utf-8", "surrogatepass"))


def encode64(raw):
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


class NotInteger(float):
    """A number with a fraction or an exponent, or one spelt -0: fine where nobody looks, refused where an integer is wanted."""


def read_json(raw, reason="payload"):
    """Reads one JSON object: UTF-8, no duplicate member, no lone surrogate, at most eight levels."""
    def integer(text):
        return NotInteger(0) if text == "-0" or len(text) > 25 else int(text)

    def pairs(items):
        out = dict(items)
        if len(out) != len(items):
            raise Refused(reason, "duplicate member")
        return out

    def constant(text):
        raise Refused(reason, text)

    def walk(value, depth):
        if isinstance(value, (dict, list)):
            if depth == 8:
                raise Refused(reason, "nested too deeply")
            for member in value:
                walk(member, depth + 1)
                if isinstance(value, dict):
                    walk(value[member], depth + 1)
        elif isinstance(value, str) and any("\ud800" <= c <= "\udfff" for c in value):
            raise Refused(reason, "lone surrogate")

    try:
        value = json.loads(raw.decode("utf-8"), object_pairs_hook=pairs, parse_constant=constant, parse_int=integer, parse_float=lambda _: NotInteger(0))
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as e:
        raise Refused(reason, str(e)) from None
    if not isinstance(value, dict):
        raise Refused(reason, "not an object")
    walk(value, 0)
    return value


# --- claims ----------------------------------------------------------------------------------------------------------------------------------

def need(ok, detail):
    if not ok:
        raise Refused("payload", detail)


def integer(low, high=2**53 - 1):
    def read(v):
        need(type(v) is int and low <= v <= high, "expected an integer")
        return v
    return read


def text(pattern, most=512):
    def read(v):
        need(isinstance(v, str) and len(v.encode()) <= most and re.fullmatch(pattern, v, re.DOTALL), "expected a text of another form")
        return v
    return read


def word(*words):
    def read(v):
        need(isinstance(v, str), "expected a string")
        if v not in words:
            raise Refused("unsupported", "unknown word " + v)
        return v
    return read


def boolean(v):
    need(isinstance(v, bool), "expected true or false")
    return v


def each(read, most=256):
    def read_all(v):
        need(isinstance(v, list) and len(v) <= most, "expected a list")
        return [read(item) for item in v]
    return read_all


def by_code(read):
    def read_all(v):
        need(isinstance(v, dict), "expected an object")
        return {code(k): read(item) for k, item in v.items()}
    return read_all


def value(v):
    need(v is True or isinstance(v, str) or type(v) is int and abs(v) <= 2**53 - 1, "expected true, an integer or a string")
    return v


def record(required, optional=None, forbidden=()):
    """A reader of objects with these members. Unknown ones are ignored, unless they differ from a known one in case alone."""
    known = {**required, **(optional or {})}

    def read(v):
        need(isinstance(v, dict), "expected an object")
        out = {}
        for name, item in v.items():
            if name in known:
                out[name] = known[name](item)
            else:
                need(name not in forbidden, "private key")
                need(name.casefold() not in known, "member differs in case alone")
        for name in required:
            need(name in out, name + " is missing")
        return out
    return read


ident, label, code = text(r"[!-~]+"), text(r".*"), text(r"[a-z0-9_.-]+", 64)
time, count, length = integer(1, 253402300799), integer(0), integer(0, 253402300799)
sha256, env = text(r"[0-9a-f]{64}"), word("live", "test")

POLICY = record({"expired": word("restrict", "revoke", "maintain", "allow"), "activation": word("none", "required"), "then": word("stop", "degrade", "advisory"), "status": word("off", "warn", "require"),
                 "expiry_grace": length, "match": count, "recheck": length, "fresh": length, "stale": length, "grace": length, "status_max_age": length},
                {"keep": each(code)})
LICENSE = record({"iss": ident, "aud": ident, "sub": ident, "jti": ident, "iat": time, "nbf": time, "env": env, "type": word("perpetual", "timed", "subscription", "trial"),
                  "plan": code, "cus": ident, "seats": record({"n": count, "by": word("device", "user"), "floating": boolean}), "ent": by_code(value), "pol": POLICY},
                 {"exp": time, "org": ident, "licensee": label, "valid_until": time, "updates_until": time, "max_version": ident, "ent_until": by_code(time),
                  "status": record({"status_list": record({"uri": ident, "idx": integer(0, STATUS_LIST_SIZE - 1)})}), "must": each(ident)})
LEASE = record({"iss": ident, "aud": ident, "sub": ident, "jti": ident, "iat": time, "env": env, "act": ident, "tok": ident, "seq": integer(1), "dev": by_code(ident),
                "match": count, "recheck_at": time, "fresh_until": time, "ent": by_code(value)},
               {"exp": time, "ent_until": by_code(time), "usr": ident, "borrowed": boolean, "nonce": ident, "must": each(ident)})
JWK = record({"state": word("active", "standby", "retired", "revoked"), "nbf": count},
             {"kid": ident, "kty": ident, "crv": ident, "x": ident, "alg": ident, "use": ident, "for": each(ident), "aud": each(ident), "revoked_at": time},
             ("d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"))
KEYSET = record({"iss": ident, "iat": time, "num": integer(1), "keys": each(JWK, 64)}, {"roots": each(JWK, 64)})
STATUSLIST = record({"iss": ident, "sub": ident, "iat": time, "exp": time, "ttl": length, "status_list": record({"bits": integer(2, 2), "lst": text(r".+", 1 << 20)})})
RELEASE = record({"iss": ident, "aud": ident, "version": ident, "iat": time, "files": each(record({"name": text(r".+"), "sha256": sha256, "size": count}, {"url": ident}), 64)})
RECEIPT = record({"iss": ident, "sub": ident, "sha": sha256, "iat": time, "seq": count})

MUST = {"license+jwt": set("iss aud sub jti iat nbf exp env type plan cus org licensee valid_until updates_until max_version seats ent ent_until pol status must".split()),
        "lease+jwt": set("iss aud sub jti iat exp env act tok seq dev match recheck_at fresh_until ent ent_until usr borrowed nonce must".split())}
SCHEMAS = {"license+jwt": LICENSE, "lease+jwt": LEASE, "keyset+jwt": KEYSET, "statuslist+jwt": STATUSLIST, "release+jwt": RELEASE, "usage-receipt+jwt": RECEIPT}


def agree(typ, c):
    """What the claims of a document must be to each other."""
    if typ == "license+jwt":
        pol = c["pol"]
        ends = pol["expired"] in ("restrict", "revoke") and ("valid_until" in c or c["type"] != "perpetual" and pol["activation"] == "none")
        need("status" in c or pol["status"] == "off", "status is missing")
        need("exp" in c or not ends, "exp is missing")
        need("exp" not in c or c["exp"] > c["nbf"] and c["exp"] >= c.get("valid_until", 0), "exp is too early")
    elif typ == "lease+jwt":
        need(c["recheck_at"] >= c["iat"] and c["fresh_until"] >= c["iat"], "times before iat")
        need("exp" not in c or c["exp"] >= c["fresh_until"] and c["exp"] > c["iat"], "exp is too early")
    elif typ == "statuslist+jwt":
        need(c["exp"] > c["iat"], "exp is too early")
    elif typ == "keyset+jwt":
        need(c.get("roots") != [], "roots are empty")


# --- keys ------------------------------------------------------------------------------------------------------------------------------------

P = 2**255 - 19
D = -121665 * pow(121666, P - 2, P) % P
SMALL_ORDER = {0, 1, P - 1} | {int.from_bytes(bytes.fromhex(y), "little") for y in (
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a", "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05")}


def public_key(x):
    """Reads a public key and refuses one under which signatures can be forged."""
    raw = decode64(x, "key")
    if len(raw) != 32:
        raise Refused("key", "not 32 bytes")
    y = int.from_bytes(raw, "little") & (1 << 255) - 1
    u, v = (y * y - 1) % P, (D * y * y + 1) % P
    if y >= P or y in SMALL_ORDER or pow(u * v % P, (P - 1) // 2, P) == P - 1:
        raise Refused("key", "not a point that signs")
    return raw


def thumbprint(x):
    return encode64(hashlib.sha256(('{"crv":"Ed25519","kty":"OKP","x":"%s"}' % x).encode()).digest())


def trust(entries):
    """The keys that entries of a keyset name; one bad key refuses all."""
    keys = {}
    for e in entries:
        kid, x = e.get("kid"), e.get("x")
        if (e.get("kty"), e.get("crv"), e.get("alg"), e.get("use")) != ("OKP", "Ed25519", "EdDSA", "sig") or not kid or not x or kid in keys or thumbprint(x) != kid:
            raise Refused("key", "not an Ed25519 signing key of its kid")
        keys[kid] = {"public": public_key(x), "for": e.get("for", []), "aud": e.get("aud", []), "nbf": e["nbf"],
                          "revoked": e["state"] == "revoked" or e.get("revoked_at", 0) != 0}
    return keys


def pin_roots(list_of_x):
    return {thumbprint(x): {"public": public_key(x), "for": ["keyset+jwt"], "aud": ["*"], "nbf": 0, "revoked": False} for x in list_of_x}


# --- documents -------------------------------------------------------------------------------------------------------------------------------

def covers(key, audience):
    return "*" in key["aud"] or audience in key["aud"]


def read(token, typ, keys, now, issuer=None, audience=None, environment="live", uri=None, floor=0):
    """Verifies a document and returns its claims, or raises Refused."""
    if size(token) > CAPS[typ]:
        raise Refused("too_long")
    parts = token.split(".")
    if len(parts) != 3 or not all(re.fullmatch(r"[A-Za-z0-9_-]+", p) for p in parts):
        raise Refused("malformed")
    header = decode64(parts[0])
    if len(parts[0]) > 512 or b"\\" in header:
        raise Refused("header")
    header = read_json(header, "header")
    if set(header) != {"alg", "kid", "typ"} or header["alg"] != "EdDSA" or header["typ"] != typ or not isinstance(header["kid"], str) or not header["kid"]:
        raise Refused("header")
    key = keys.get(header["kid"])
    if key is None or typ not in key["for"] or typ != "keyset+jwt" and not covers(key, audience):
        raise Refused("unknown_key")
    if key["revoked"]:
        raise Refused("key_revoked")
    if len(parts[2]) not in (86,):
        raise Refused("signature")
    try:
        Ed25519PublicKey.from_public_bytes(key["public"]).verify(decode64(parts[2]), (parts[0] + "." + parts[1]).encode())
    except InvalidSignature:
        raise Refused("signature") from None
    claims = SCHEMAS[typ](read_json(decode64(parts[1])))
    agree(typ, claims)
    for name in claims.get("must", []):
        if name not in MUST[typ]:
            raise Refused("unsupported", "must " + name)
    if issuer is not None and claims["iss"] != issuer:
        raise Refused("issuer")
    if "aud" in claims and claims["aud"] != audience:
        raise Refused("audience")
    if "env" in claims and claims["env"] != environment:
        raise Refused("env")
    if typ == "statuslist+jwt" and claims["sub"] != uri:
        raise Refused("mismatch")
    if claims.get("nbf", 0) > now + SKEW:
        raise Refused("not_yet_valid")
    if "exp" in claims and claims["exp"] <= now - SKEW:
        raise Refused("expired")
    if claims["iat"] > now + SKEW:
        raise Refused("not_yet_valid")
    if claims["iat"] < key["nbf"] - SKEW:
        raise Refused("unknown_key", "issued before its key was valid")
    if typ == "keyset+jwt":
        if claims["num"] < floor:
            raise Refused("rollback")
        try:
            trust(claims["keys"]), trust(claims.get("roots", []))
        except Refused as e:
            raise Refused("payload", str(e)) from None
    return claims


def status_bits(lst):
    """Inflates the list of a status list; returns a function from index to status."""
    inflater = zlib.decompressobj()
    try:
        raw = inflater.decompress(decode64(lst, "payload"), STATUS_LIST_SIZE // 4 + 1)
    except zlib.error as e:
        raise Refused("payload", str(e)) from None
    if not raw or len(raw) > STATUS_LIST_SIZE // 4 or not inflater.eof:
        raise Refused("payload", "status list is broken or too long")
    return lambda idx: raw[idx // 4] >> idx % 4 * 2 & 3 if 0 <= idx < len(raw) * 4 else 1


def license_file(armoured):
    """Splits a license file into its documents, which are still to be verified."""
    if size(armoured) > MAX_FILE:
        raise Refused("too_long")
    m = re.fullmatch(r"\s*-----BEGIN MINTREU LICENSE-----(.*)-----END MINTREU LICENSE-----\s*", armoured, re.DOTALL)
    body = re.sub(r"[\r\n \t]", "", m.group(1)) if m else "*"
    try:
        raw = base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError):
        raise Refused("malformed") from None
    if base64.b64encode(raw).decode() != body:
        raise Refused("malformed")
    anything = text(r".*", MAX_FILE)
    f = record({"v": integer(-2**53), "license": text(r".+", MAX_FILE), "keyset": text(r".+", MAX_FILE)}, {"lease": anything, "status_list": anything})(read_json(raw))
    if f["v"] != 1:
        raise Refused("unsupported")
    return f


REQUEST = record({"key": ident, "product": ident, "dev": by_code(ident), "nonce": text(r"[!-~]{16,128}"), "at": time}, {"usr": ident, "sdk": ident})
RETURN = record({"act": ident, "seq": integer(1), "nonce": ident, "mac": ident})


def carried(prefix, typed):
    """Reads what a person carries from a machine without a network: MREQ1. a request, MREL1. a return."""
    bare = re.sub(r"[ \t\r\n]", "", typed)
    if size(bare) > 2048 or size(typed) > 4096:
        raise Refused("too_long")
    if not bare.startswith(prefix):
        raise Refused("malformed")
    return (REQUEST if prefix == "MREQ1." else RETURN)(read_json(decode64(bare[len(prefix):])))


def proves(back, lease):
    """Whether a return was made by somebody who has the text of the lease."""
    said = "MREL1.%s.%d.%s" % (back["act"], back["seq"], back["nonce"])
    mac = hmac.new(hashlib.sha256(lease.encode()).digest(), said.encode(), hashlib.sha256).digest()
    return hmac.compare_digest(encode64(mac), back["mac"])


def device_digest(product, component, val):
    return encode64(hmac.new(product.encode(), (component + "=" + val).encode(), hashlib.sha256).digest()[:16])


def normal_key(typed):
    """Returns the one spelling of a license key and True, or the text itself and False."""
    alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
    prefix, dash, rest = typed.strip().upper().partition("-")
    prefix = prefix.strip()
    body = re.sub(r"[ \t-]", "", rest).translate(str.maketrans("OIL", "011"))
    if size(typed) > 128 or not dash or not re.fullmatch(r"[A-Z][A-Z0-9]{0,9}", prefix) or not re.fullmatch("[%s]{30}" % alphabet, body):
        return typed, False
    h = hashlib.sha256(("mintreu license key:%s-%s" % (prefix, body[:28])).encode()).digest()
    if body[28:] != alphabet[h[0] >> 3] + alphabet[h[0] << 2 & 31 | h[1] >> 6]:
        return typed, False
    return "-".join([prefix] + [body[i:i + 5] for i in range(0, 30, 5)]), True
