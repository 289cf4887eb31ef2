"""Decides whether a license permits something now: the rule of Mintreu's sdk/eval, as its vectors describe it."""
import re

SKEW = 60
SOON = 7 * 24 * 3600
SEVERITY = """NOT_FOUND REVOKED SUSPENDED PRODUCT_REQUIRED PRODUCT_MISMATCH ENVIRONMENT_MISMATCH CLOCK_ROLLBACK NOT_YET_VALID EXPIRED VERSION_REQUIRED
VERSION_NOT_COVERED ACTIVATION_REQUIRED ACTIVATION_RELEASED DEVICE_REQUIRED DEVICE_MISMATCH USER_REQUIRED USER_MISMATCH LEASE_EXPIRED STATUS_STALE
ENTITLEMENT_MISSING ENTITLEMENT_EXPIRED TOO_MANY_SEATS QUOTA_EXCEEDED LEASE_STALE IN_GRACE EXPIRING_SOON VALID""".split()


def rests_on(lease, lic):
    """Whether a lease is one on this very license token and no longer than its policy allows."""
    pol = lic["pol"]
    most = lease.get("iat", 0) + pol.get("fresh", 0) + pol.get("stale", 0) + pol.get("grace", 0)
    return (all(lease.get(c) == lic[c] for c in ("iss", "aud", "env", "sub")) and lease.get("tok") == lic["jti"] and
            ("exp" in lease or pol["then"] == "advisory") and lease.get("exp", 0) <= most and lease.get("fresh_until", 0) <= most)


def covers(limit, version):
    """Whether a version is within a limit, compared number by number as far as the limit goes."""
    version = re.split(r"[-+]", version)[0]
    limit, version = limit[limit.startswith("v"):], version[version.startswith("v"):]
    if not all(re.fullmatch(r"[0-9]+(\.[0-9]+)*", s) for s in (limit, version)):
        return False
    want, have = ([int(n) for n in s.split(".")] for s in (limit, version))
    have = (have + [0] * len(want))[:len(want)]
    return have <= want


def evaluate(lic, lease, status, request, now, known=()):
    """Returns the decision: allowed, mode, code, findings as CODE:effect, recheck_at."""
    found = [(f["code"], f.get("effect", "")) for f in known]
    changes, mode = [], "full"

    def deny(code):
        found.append((code, "deny"))

    def warn(code):
        found.append((code, "warn"))

    if lic is None:
        if not known:
            deny("NOT_FOUND")
        return conclude(found, mode, changes, now)
    pol, on = lic["pol"], lease is not None and rests_on(lease, lic)

    # revocation, and how old the proof of the contrary is
    if status is not None and status["value"] != 0:
        deny("REVOKED" if status["value"] == 1 else "SUSPENDED")
    if pol["status"] != "off":
        age = pol.get("status_max_age", 0)
        until = max(lic["iat"] + age, lease["iat"] + age if on else 0)
        if status is not None:
            fresh = status["iat"] + age
            until = max(until, min(fresh, status["exp"]) if status.get("exp") else fresh)
        changes.append(until)
        if now >= until:
            (deny if pol["status"] == "require" else warn)("STATUS_STALE")

    # product and environment
    if request.get("product", "") != lic["aud"]:
        deny("PRODUCT_MISMATCH" if request.get("product") else "PRODUCT_REQUIRED")
    if (request.get("env") or "live") != lic["env"]:
        deny("ENVIRONMENT_MISMATCH")

    # the commercial term
    if now + SKEW < lic["nbf"]:
        deny("NOT_YET_VALID")
        changes.append(lic["nbf"] - SKEW)
    end = lic.get("valid_until", 0)
    if end:
        last, early = end + pol.get("expiry_grace", 0), end - min(SOON, max(0, end - lic["nbf"]) // 4)
        changes += [early, end, last]
        if now >= last:
            (warn if pol["expired"] in ("maintain", "allow") else deny)("EXPIRED")
        elif now >= end:
            warn("IN_GRACE")
        elif now >= early:
            warn("EXPIRING_SOON")

    # the version
    limit, version = lic.get("max_version", ""), request.get("version", "")
    if limit and not version:
        deny("VERSION_REQUIRED")
    elif limit and not covers(limit, version):
        deny("VERSION_NOT_COVERED")

    # the activation
    active = pol["activation"] == "required" and on
    if pol["activation"] == "required" and not on:
        deny("ACTIVATION_REQUIRED")
    if active:
        found += device(lease, request) + user(lic, lease, request)
        end = lease.get("exp") or lease["fresh_until"] + pol.get("stale", 0) + pol.get("grace", 0)
        stale = min(lease["fresh_until"] + pol.get("stale", 0), end)
        changes += [lease["recheck_at"], lease["fresh_until"], stale, end]
        if now < lease["fresh_until"] and now < end:
            pass
        elif now < stale:
            warn("LEASE_STALE")
        elif now < end:
            warn("IN_GRACE")
        elif pol["then"] == "stop":
            deny("LEASE_EXPIRED")
        else:
            mode = {"degrade": "degraded", "advisory": "advisory"}[pol["then"]]
            warn("LEASE_EXPIRED")

    # the feature
    feature, n = request.get("entitlement", ""), request.get("n", 0)
    if feature:
        holder = lease if active else lic
        if feature not in holder["ent"]:
            deny("ENTITLEMENT_MISSING")
        else:
            if mode == "degraded" and feature not in pol.get("keep", []):
                deny("ENTITLEMENT_MISSING")
            end, value = holder.get("ent_until", {}).get(feature, 0), holder["ent"][feature]
            changes.append(end)
            if end and now >= end:
                deny("ENTITLEMENT_EXPIRED")
            if n < 0 or type(value) is int and n > value:
                deny("QUOTA_EXCEEDED")
    return conclude(found, mode, changes, now)


def device(lease, request):
    if not lease["dev"] or not lease.get("match", 0):
        return []
    asked = request.get("device") or {}
    if not asked:
        return [("DEVICE_REQUIRED", "deny")]
    agree = sum(1 for component, digest in lease["dev"].items() if digest and asked.get(component) == digest)
    return [("DEVICE_MISMATCH", "deny")] if agree < lease["match"] else []


def user(lic, lease, request):
    want, got, by = lease.get("usr", ""), request.get("user", ""), lic["seats"]["by"]
    if not want:
        return [("USER_MISMATCH", "deny")] if by == "user" else []
    if want == got:
        return []
    if got:
        return [("USER_MISMATCH", "deny")]
    return [("USER_REQUIRED", "deny")] if by == "user" else []


def conclude(found, mode, changes, now):
    def rank(f):
        return SEVERITY.index(f[0]) if f[0] in SEVERITY else 0, f[1] == "warn" if f[1] in ("deny", "warn") else 0.5
    found = sorted(found, key=lambda f: (rank(f)[0], {"deny": 0}.get(f[1], 1)))
    denials = [f for f in found if f[1] != "warn"]
    first = (denials or found or [("VALID", "")])[0][0]
    later = [t for t in changes if t > now]
    return {"allowed": not denials, "mode": "none" if denials else mode, "code": first, "findings": [c + ":" + e for c, e in found],
            "recheck_at": min(later) if later else 0}
