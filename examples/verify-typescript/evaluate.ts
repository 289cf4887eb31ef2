// Decides whether a license permits something now: the rule of Mintreu's sdk/eval, as its vectors describe it.
import { SKEW } from "./claims.ts";
import type { Lease, License } from "./claims.ts";

const SOON = 7 * 24 * 3600;
const SEVERITY = `NOT_FOUND REVOKED SUSPENDED PRODUCT_REQUIRED PRODUCT_MISMATCH ENVIRONMENT_MISMATCH CLOCK_ROLLBACK NOT_YET_VALID EXPIRED VERSION_REQUIRED
VERSION_NOT_COVERED ACTIVATION_REQUIRED ACTIVATION_RELEASED DEVICE_REQUIRED DEVICE_MISMATCH USER_REQUIRED USER_MISMATCH LEASE_EXPIRED STATUS_STALE
ENTITLEMENT_MISSING ENTITLEMENT_EXPIRED TOO_MANY_SEATS QUOTA_EXCEEDED LEASE_STALE IN_GRACE EXPIRING_SOON VALID`.split(/\s+/);

/** What a status list says of a license: 0 valid, 1 invalid, 2 suspended, and when. */
export interface Status {
  value: number;
  iat: number;
  exp?: number;
}

/** What is asked. */
export interface Request {
  product?: string;
  env?: string;
  version?: string;
  user?: string;
  device?: { [component: string]: string };
  entitlement?: string;
  n?: number;
}

/** One reason; an effect that is not "warn" denies. */
export interface Finding {
  code: string;
  effect: string;
}

export interface Decision {
  allowed: boolean;
  mode: string;
  code: string;
  findings: string[];
  recheck_at: number;
}

const deny = (code: string): Finding => ({ code, effect: "deny" });
const warn = (code: string): Finding => ({ code, effect: "warn" });

/** Whether a lease is one on this very license token and no longer than its policy allows. */
function restsOn(lease: Lease, lic: License): boolean {
  const { pol } = lic;
  const most = (lease.iat ?? 0) + (pol.fresh ?? 0) + (pol.stale ?? 0) + (pol.grace ?? 0);
  return lease.iss === lic.iss && lease.aud === lic.aud && lease.env === lic.env && lease.sub === lic.sub && lease.tok === lic.jti &&
    (lease.exp !== undefined || pol.then === "advisory") && (lease.exp ?? 0) <= most && (lease.fresh_until ?? 0) <= most;
}

/** Whether a version is within a limit, compared number by number as far as the limit goes. */
function covers(limit: string, version: string): boolean {
  limit = limit.replace(/^v/, "");
  version = version.split(/[-+]/)[0]!.replace(/^v/, "");
  if (![limit, version].every((s) => /^[0-9]+(\.[0-9]+)*$/.test(s))) return false;
  const want = limit.split(".").map(BigInt), have = version.split(".").map(BigInt);
  for (const [i, w] of want.entries()) {
    const h = have[i] ?? 0n;
    if (h !== w) return h < w;
  }
  return true;
}

/** Decides. now is in seconds; known are findings from outside the documents. */
export function evaluate(lic: License | null, lease: Lease | null, status: Status | null, request: Request, now: number, known: Finding[] = []): Decision {
  const found = [...known];
  if (!lic) return conclude(known.length ? found : [deny("NOT_FOUND")], "full", [], now);
  const changes: number[] = [];
  const held = lease && restsOn(lease, lic) ? lease : null;
  revocation(lic, held, status, now, found, changes);
  scope(lic, request, found);
  term(lic, now, found, changes);
  const active = lic.pol.activation === "required" ? held : null;
  let mode = "full";
  if (active) mode = activation(lic, active, request, now, found, changes);
  else if (lic.pol.activation === "required") found.push(deny("ACTIVATION_REQUIRED"));
  feature(lic, active ?? lic, mode, request, now, found, changes);
  return conclude(found, mode, changes, now);
}

/** Revocation, and how old the proof of the contrary is. */
function revocation(lic: License, held: Lease | null, status: Status | null, now: number, found: Finding[], changes: number[]): void {
  if (status && status.value !== 0) found.push(deny(status.value === 1 ? "REVOKED" : "SUSPENDED"));
  if (lic.pol.status === "off") return;
  const age = lic.pol.status_max_age ?? 0;
  let until = Math.max(lic.iat + age, held ? held.iat + age : 0);
  if (status) until = Math.max(until, status.exp ? Math.min(status.iat + age, status.exp) : status.iat + age);
  changes.push(until);
  if (now >= until) found.push({ code: "STATUS_STALE", effect: lic.pol.status === "require" ? "deny" : "warn" });
}

/** Product, environment and version. */
function scope(lic: License, request: Request, found: Finding[]): void {
  if ((request.product ?? "") !== lic.aud) found.push(deny(request.product ? "PRODUCT_MISMATCH" : "PRODUCT_REQUIRED"));
  if ((request.env || "live") !== lic.env) found.push(deny("ENVIRONMENT_MISMATCH"));
  if (lic.max_version && !request.version) found.push(deny("VERSION_REQUIRED"));
  else if (lic.max_version && !covers(lic.max_version, request.version!)) found.push(deny("VERSION_NOT_COVERED"));
}

/** The commercial term. */
function term(lic: License, now: number, found: Finding[], changes: number[]): void {
  if (now + SKEW < lic.nbf) {
    found.push(deny("NOT_YET_VALID"));
    changes.push(lic.nbf - SKEW);
  }
  const end = lic.valid_until ?? 0;
  if (!end) return;
  const last = end + (lic.pol.expiry_grace ?? 0), early = end - Math.min(SOON, Math.floor(Math.max(0, end - lic.nbf) / 4));
  changes.push(early, end, last);
  if (now >= last) found.push({ code: "EXPIRED", effect: lic.pol.expired === "maintain" || lic.pol.expired === "allow" ? "warn" : "deny" });
  else if (now >= end) found.push(warn("IN_GRACE"));
  else if (now >= early) found.push(warn("EXPIRING_SOON"));
}

/** Device, user, and how long ago the last contact was; returns the mode. */
function activation(lic: License, lease: Lease, request: Request, now: number, found: Finding[], changes: number[]): string {
  const { pol } = lic;
  found.push(...device(lease, request), ...user(lic, lease, request));
  const end = lease.exp || lease.fresh_until + (pol.stale ?? 0) + (pol.grace ?? 0);
  const stale = Math.min(lease.fresh_until + (pol.stale ?? 0), end);
  changes.push(lease.recheck_at, lease.fresh_until, stale, end);
  if (now < lease.fresh_until && now < end) return "full";
  if (now < end) {
    found.push(warn(now < stale ? "LEASE_STALE" : "IN_GRACE"));
    return "full";
  }
  found.push(pol.then === "stop" ? deny("LEASE_EXPIRED") : warn("LEASE_EXPIRED"));
  return { stop: "full", degrade: "degraded", advisory: "advisory" }[pol.then];
}

function device(lease: Lease, request: Request): Finding[] {
  const components = Object.entries(lease.dev);
  if (!components.length || !lease.match) return [];
  const asked = request.device ?? {};
  if (!Object.keys(asked).length) return [deny("DEVICE_REQUIRED")];
  return components.filter(([name, digest]) => digest && asked[name] === digest).length < lease.match ? [deny("DEVICE_MISMATCH")] : [];
}

function user(lic: License, lease: Lease, request: Request): Finding[] {
  const want = lease.usr ?? "", got = request.user ?? "", named = lic.seats.by === "user";
  if (want === "") return named ? [deny("USER_MISMATCH")] : [];
  if (want === got) return [];
  if (got) return [deny("USER_MISMATCH")];
  return named ? [deny("USER_REQUIRED")] : [];
}

/** The feature that is asked for, of the lease where one is needed. */
function feature(lic: License, holder: Lease | License, mode: string, request: Request, now: number, found: Finding[], changes: number[]): void {
  const name = request.entitlement ?? "", n = request.n ?? 0;
  if (!name) return;
  if (!Object.hasOwn(holder.ent, name)) {
    found.push(deny("ENTITLEMENT_MISSING"));
    return;
  }
  const value = holder.ent[name], end = holder.ent_until?.[name] ?? 0;
  if (mode === "degraded" && !lic.pol.keep?.includes(name)) found.push(deny("ENTITLEMENT_MISSING"));
  changes.push(end);
  if (end && now >= end) found.push(deny("ENTITLEMENT_EXPIRED"));
  if (n < 0 || (typeof value === "number" && n > value)) found.push(deny("QUOTA_EXCEEDED"));
}

/** All findings are collected first: a permissive rule never hides a hard failure. */
function conclude(found: Finding[], mode: string, changes: number[], now: number): Decision {
  const rank = (f: Finding) => [Math.max(0, SEVERITY.indexOf(f.code)), f.effect === "deny" ? 0 : 1] as const;
  found = found.map((f, i) => ({ f, i })).sort((a, b) => rank(a.f)[0] - rank(b.f)[0] || rank(a.f)[1] - rank(b.f)[1] || a.i - b.i).map((x) => x.f);
  const denials = found.filter((f) => f.effect !== "warn");
  const later = changes.filter((t) => t > now);
  return {
    allowed: !denials.length, mode: denials.length ? "none" : mode, code: (denials[0] ?? found[0])?.code ?? "VALID",
    findings: found.map((f) => f.code + ":" + f.effect), recheck_at: later.length ? Math.min(...later) : 0,
  };
}
