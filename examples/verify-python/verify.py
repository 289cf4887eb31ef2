"""Verifies a Mintreu license file without Mintreu, or runs the vectors.

    python3 verify.py FILE --root=KEY --product SLUG [--issuer URL] [--env live] [--now SECONDS] [--version 2.1.0]
    python3 verify.py --vectors DIRECTORY
"""
import argparse
import glob
import json
import os
import sys
import time

import evaluate
import mintreu


def check(a):
    """Verifies the file's documents from the root down, and decides."""
    now = a.now or int(time.time())
    with open(a.file, "rb") as f:
        parts = mintreu.license_file(f.read().decode("utf-8", "replace"))
    keyset = mintreu.read(parts["keyset"], "keyset+jwt", mintreu.pin_roots(a.root), now)
    keys, issuer = mintreu.trust(keyset["keys"]), a.issuer or keyset["iss"]
    expect = dict(keys=keys, now=now, issuer=issuer, audience=a.product, environment=a.env)
    lic = mintreu.read(parts["license"], "license+jwt", **expect)
    lease = mintreu.read(parts["lease"], "lease+jwt", **expect) if parts.get("lease") else None
    status = None
    if parts.get("status_list") and "status" in lic:
        ref = lic["status"]["status_list"]
        lst = mintreu.read(parts["status_list"], "statuslist+jwt", uri=ref["uri"], **expect)
        status = {"value": mintreu.status_bits(lst["status_list"]["lst"])(ref["idx"]), "iat": lst["iat"], "exp": lst["exp"]}
    # Whether this is the device of the lease is for the product to say, which knows its own components.
    request = {"product": a.product, "env": a.env, "version": a.version, "device": lease["dev"] if lease else {}, "user": lease.get("usr", "") if lease else ""}
    decision = evaluate.evaluate(lic, lease, status, request, now)
    print(json.dumps({"license": lic["sub"], "plan": lic["plan"], "features": (lease or lic)["ent"], **decision}))
    return 0 if decision["allowed"] else 1


class Tally:
    def __init__(self):
        self.ran, self.wrong = 0, 0

    def case(self, file, c, got, want):
        self.ran += 1
        if got != want:
            self.wrong += 1
            print("%s/%s: %s\n  got  %s\n  want %s" % (file, c["name"], c["says"], got, want), file=sys.stderr)


def reason(run):
    try:
        return run(), ""
    except mintreu.Refused as e:
        return None, e.reason


def known(typ, claims):
    """Claims as the vectors have them: what has no value left out, what has a usual value filled in."""
    out = {k: v for k, v in claims.items() if v not in ("", [], {}, False) or k in ("ent", "dev", "keys")}
    if typ == "license+jwt":
        out["seats"] = {"n": 0, "floating": False, **out["seats"]}
        numbers = ("expiry_grace", "match", "recheck", "fresh", "stale", "grace", "status_max_age")
        out["pol"] = {**{n: 0 for n in numbers}, **out["pol"]}
    return out


def merge(target, patch):
    out = dict(target or {})
    for k, v in patch.items():
        if v is None:
            out.pop(k, None)
        else:
            out[k] = merge(out.get(k) if isinstance(out.get(k), dict) else {}, v) if isinstance(v, dict) else v
    return out


def vectors(directory):
    t = Tally()
    load = lambda name: json.load(open(os.path.join(directory, "document", name), encoding="utf-8"))
    f = load("token.json")
    for c in f["cases"]:
        keys = mintreu.pin_roots(f["roots"]) if c["typ"] == "keyset+jwt" else mintreu.trust(f["trust"][c.get("trust", "usual")])
        claims, refused = reason(lambda: mintreu.read(c["token"], c["typ"], keys, c.get("now", f["now"]), c.get("issuer", f["issuer"]), c.get("audience", f["audience"]),
                                                      c.get("env", "live"), c.get("uri"), c.get("floor", 0)))
        t.case("token", c, (claims and known(c["typ"], claims), refused), (c.get("claims"), c.get("error", "")))
    for c in load("file.json")["cases"]:
        t.case("file", c, reason(lambda: mintreu.license_file(c["text"])), (c.get("file"), c.get("error", "")))
    for c in load("status.json")["cases"]:
        bits, refused = reason(lambda: mintreu.status_bits(c["lst"]))
        t.case("status", c, (bits and {k: bits(int(k)) for k in c["values"]}, refused), (c.get("values"), c.get("error", "")))
    for c in load("airgap.json")["cases"]:
        content, refused = reason(lambda: mintreu.carried({"request": "MREQ1.", "return": "MREL1."}[c["kind"]], c["text"]))
        good = bool(content) and c["kind"] == "return" and mintreu.proves(content, c["lease"])
        t.case("airgap", c, (content, refused, good), (c.get("content"), c.get("error", ""), c.get("proves", False)))
    for c in load("device.json")["cases"]:
        t.case("device", c, mintreu.device_digest(c["product"], c["component"], c["value"]), c["digest"])
    for c in load("licensekey.json")["cases"]:
        t.case("licensekey", c, mintreu.normal_key(c["text"]), (c["key"], c["checked"]))
    for c in load("publickey.json")["cases"]:
        raw, refused = reason(lambda: mintreu.public_key(c["x"]))
        t.case("publickey", c, (raw and mintreu.thumbprint(c["x"]), refused), (c.get("kid"), c.get("error", "")))
    for path in sorted(glob.glob(os.path.join(directory, "eval", "*.json"))):
        f = json.load(open(path, encoding="utf-8"))
        for c in f["cases"]:
            lic = None if "license" in c and c["license"] is None else merge(f["license"], c.get("license", {}))
            lease = None
            if not ("lease" in c and c["lease"] is None) and (f["lease"] is not None or "lease" in c):
                lease = merge(f["lease"], c.get("lease", {}))
            got = evaluate.evaluate(lic, lease, c.get("status"), merge(f["request"], c.get("request", {})), c["now"], c.get("known", ()))
            t.case(os.path.basename(path), c, got, c["want"])
    print("%d vectors, %d wrong" % (t.ran, t.wrong))
    return 1 if t.wrong or not t.ran else 0


def main():
    p = argparse.ArgumentParser(description="Verifies a Mintreu license file without Mintreu.")
    p.add_argument("file", nargs="?")
    p.add_argument("--vectors", metavar="DIRECTORY")
    p.add_argument("--root", action="append", help="a root public key, as `mintreu keyring roots` prints it")
    p.add_argument("--product")
    p.add_argument("--issuer")
    p.add_argument("--env", default="live")
    p.add_argument("--version", default="")
    p.add_argument("--now", type=int)
    a = p.parse_args()
    if a.vectors:
        return vectors(a.vectors)
    if not (a.file and a.root and a.product):
        p.error("give a license file, --root and --product")
    try:
        return check(a)
    except mintreu.Refused as e:
        print("refused:", e, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
