// What the payload of each type of document is made of. Unknown members are ignored, so that the documents of the next release can be read.
import { Refused } from "./json.ts";
import type { Json } from "./json.ts";

type Read<T> = (v: Json) => T;
type Members = { [name: string]: Read<unknown> };
type Record_<R extends Members, O extends Members> = { [K in keyof R]: ReturnType<R[K]> } & { [K in keyof O]?: ReturnType<O[K]> };

export const SKEW = 60;
export const STATUS_LIST_SIZE = 131072;
const MAX = Number.MAX_SAFE_INTEGER;

export function need(ok: boolean, detail: string): asserts ok {
  if (!ok) throw new Refused("payload", detail);
}

export function integer(low: number, high = MAX): Read<number> {
  return (v) => {
    need(typeof v === "number" && Number.isSafeInteger(v) && v >= low && v <= high, "expected an integer");
    return v;
  };
}

export function text(pattern: RegExp, most = 512): Read<string> {
  return (v) => {
    need(typeof v === "string" && Buffer.byteLength(v) <= most && pattern.test(v), "expected a text of another form");
    return v;
  };
}

function word<W extends string>(...words: W[]): Read<W> {
  return (v) => {
    need(typeof v === "string", "expected a string");
    if (!(words as string[]).includes(v)) throw new Refused("unsupported", "unknown word " + v);
    return v as W;
  };
}

function boolean(v: Json): boolean {
  need(typeof v === "boolean", "expected true or false");
  return v;
}

function each<T>(read: Read<T>, most = 256): Read<T[]> {
  return (v) => {
    need(Array.isArray(v) && v.length <= most, "expected a list");
    return v.map(read);
  };
}

function isObject(v: Json): v is { [name: string]: Json } {
  return typeof v === "object" && v !== null && !Array.isArray(v);
}

export function byCode<T>(read: Read<T>): Read<{ [code: string]: T }> {
  return (v) => {
    need(isObject(v), "expected an object");
    const out: { [code: string]: T } = Object.create(null);
    for (const [name, item] of Object.entries(v)) out[code(name)] = read(item);
    return out;
  };
}

function value(v: Json): true | number | string {
  need(v === true || typeof v === "string" || (typeof v === "number" && Number.isSafeInteger(v)), "expected true, an integer or a string");
  return v;
}

/** A reader of objects with these members. Unknown ones are ignored, unless they differ from a known one in case alone. */
export function record<R extends Members, O extends Members = {}>(required: R, optional?: O, forbidden: string[] = []): Read<Record_<R, O>> {
  const known = new Map<string, Read<unknown>>(Object.entries({ ...required, ...optional }));
  const twins = new RegExp("^(?:" + [...known.keys()].join("|") + ")$", "iu");
  return (v) => {
    need(isObject(v), "expected an object");
    const out: { [name: string]: unknown } = Object.create(null);
    for (const [name, item] of Object.entries(v)) {
      const read = known.get(name);
      if (read) {
        out[name] = read(item);
      } else {
        need(!forbidden.includes(name), "private key");
        need(!twins.test(name), "member differs in case alone");
      }
    }
    for (const name of Object.keys(required)) need(name in out, name + " is missing");
    return out as Record_<R, O>;
  };
}

export const ident = text(/^[!-~]+$/);
const label = text(/^.*$/su);
export const code = text(/^[a-z0-9_.-]+$/, 64);
export const time = integer(1, 253402300799);
const count = integer(0);
const length = integer(0, 253402300799);
const sha256 = text(/^[0-9a-f]{64}$/);
const env = word("live", "test");

const POLICY = record(
  {
    expired: word("restrict", "revoke", "maintain", "allow"), activation: word("none", "required"), then: word("stop", "degrade", "advisory"), status: word("off", "warn", "require"),
    expiry_grace: length, match: count, recheck: length, fresh: length, stale: length, grace: length, status_max_age: length,
  },
  { keep: each(code) },
);
const LICENSE = record(
  {
    iss: ident, aud: ident, sub: ident, jti: ident, iat: time, nbf: time, env, type: word("perpetual", "timed", "subscription", "trial"),
    plan: code, cus: ident, seats: record({ n: count, by: word("device", "user"), floating: boolean }), ent: byCode(value), pol: POLICY,
  },
  {
    exp: time, org: ident, licensee: label, valid_until: time, updates_until: time, max_version: ident, ent_until: byCode(time),
    status: record({ status_list: record({ uri: ident, idx: integer(0, STATUS_LIST_SIZE - 1) }) }), must: each(ident),
  },
);
const LEASE = record(
  { iss: ident, aud: ident, sub: ident, jti: ident, iat: time, env, act: ident, tok: ident, seq: integer(1), dev: byCode(ident), match: count, recheck_at: time, fresh_until: time, ent: byCode(value) },
  { exp: time, ent_until: byCode(time), usr: ident, borrowed: boolean, nonce: ident, must: each(ident) },
);
const JWK = record(
  { state: word("active", "standby", "retired", "revoked"), nbf: count },
  { kid: ident, kty: ident, crv: ident, x: ident, alg: ident, use: ident, for: each(ident), aud: each(ident), revoked_at: time },
  ["d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"],
);
const KEYSET = record({ iss: ident, iat: time, num: integer(1), keys: each(JWK, 64) }, { roots: each(JWK, 64) });
const STATUSLIST = record({ iss: ident, sub: ident, iat: time, exp: time, ttl: length, status_list: record({ bits: integer(2, 2), lst: text(/^.+$/su, 1 << 20) }) });
const RELEASE = record({ iss: ident, aud: ident, version: ident, iat: time, files: each(record({ name: text(/^.+$/su), sha256, size: count }, { url: ident }), 64) });
const RECEIPT = record({ iss: ident, sub: ident, sha: sha256, iat: time, seq: count });

export type License = ReturnType<typeof LICENSE>;
export type Lease = ReturnType<typeof LEASE>;
export type Jwk = ReturnType<typeof JWK>;

/** The claims of each type of document. */
export type Claims = {
  "license+jwt": License;
  "lease+jwt": Lease;
  "keyset+jwt": ReturnType<typeof KEYSET>;
  "statuslist+jwt": ReturnType<typeof STATUSLIST>;
  "release+jwt": ReturnType<typeof RELEASE>;
  "usage-receipt+jwt": ReturnType<typeof RECEIPT>;
};
export type Typ = keyof Claims;

const READERS: { [T in Typ]: Read<Claims[T]> } = {
  "license+jwt": LICENSE, "lease+jwt": LEASE, "keyset+jwt": KEYSET, "statuslist+jwt": STATUSLIST, "release+jwt": RELEASE, "usage-receipt+jwt": RECEIPT,
};

/** What a document may list in must: the claims that this version knows. */
const MUST: { [typ: string]: string[] } = {
  "license+jwt": "iss aud sub jti iat nbf exp env type plan cus org licensee valid_until updates_until max_version seats ent ent_until pol status must".split(" "),
  "lease+jwt": "iss aud sub jti iat exp env act tok seq dev match recheck_at fresh_until ent ent_until usr borrowed nonce must".split(" "),
};

/** What the claims of a document must be to each other. */
const AGREE: { [T in Typ]?: (c: Claims[T]) => void } = {
  "license+jwt"(c) {
    const limited = c.valid_until !== undefined || (c.type !== "perpetual" && c.pol.activation === "none");
    need(c.status !== undefined || c.pol.status === "off", "status is missing");
    need(c.exp !== undefined || !(limited && (c.pol.expired === "restrict" || c.pol.expired === "revoke")), "exp is missing");
    need(c.exp === undefined || (c.exp > c.nbf && c.exp >= (c.valid_until ?? 0)), "exp is too early");
  },
  "lease+jwt"(c) {
    need(c.recheck_at >= c.iat && c.fresh_until >= c.iat, "times before iat");
    need(c.exp === undefined || (c.exp >= c.fresh_until && c.exp > c.iat), "exp is too early");
  },
  "statuslist+jwt"(c) {
    need(c.exp > c.iat, "exp is too early");
  },
  "keyset+jwt"(c) {
    need(c.roots?.length !== 0, "roots are empty");
  },
};

/** Reads the payload of a document of a type. */
export function claimsOf<T extends Typ>(typ: T, payload: { [name: string]: Json }): Claims[T] {
  const claims = READERS[typ](payload);
  AGREE[typ]?.(claims);
  for (const name of (claims as { must?: string[] }).must ?? []) {
    if (!MUST[typ]?.includes(name)) throw new Refused("unsupported", "must " + name);
  }
  return claims;
}
