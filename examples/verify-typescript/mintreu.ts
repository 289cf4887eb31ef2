// Reads Mintreu's signed documents strictly, in the order of checks that sdk/testdata/vectors/README.md gives.
//
// The npm package jose verifies the signatures, as any JOSE library can. What this module adds is what a strict reader refuses beyond that: other
// spellings of one signature, duplicate members, claims of a wrong type, keys not meant for the product.
import { createHash, createHmac, timingSafeEqual, webcrypto } from "node:crypto";
import { inflateSync } from "node:zlib";
import { calculateJwkThumbprint, compactVerify, importJWK } from "jose";
import { Refused, readJson } from "./json.ts";
import { SKEW, STATUS_LIST_SIZE, byCode, claimsOf, ident, integer, record, text, time } from "./claims.ts";
import type { Claims, Jwk, Typ } from "./claims.ts";

globalThis.crypto ??= webcrypto as Crypto; // Node.js 18 has it under this name alone

const CAPS: { [T in Typ]: number } = { "license+jwt": 8192, "lease+jwt": 8192, "usage-receipt+jwt": 8192, "release+jwt": 8192, "keyset+jwt": 32768, "statuslist+jwt": 65536 };
const MAX_FILE = 256 << 10;

// --- bytes ---

/** Decodes canonical base64url: its alphabet alone, no padding, unused bits zero. */
export function decode64(s: string, reason = "malformed"): Buffer {
  const raw = Buffer.from(s, "base64url");
  if (raw.toString("base64url") !== s) throw new Refused(reason, "not canonical base64url");
  return raw;
}

// --- keys ---

/** A key that is trusted, and for what. */
export interface Key {
  x: string;
  for: string[];
  aud: string[];
  nbf: number;
  revoked: boolean;
}

export type Keys = Map<string, Key>;

const P = 2n ** 255n - 19n;
const SMALL_ORDER = new Set([
  0n, 1n, P - 1n, littleEndian(Buffer.from("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a", "hex")),
  littleEndian(Buffer.from("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05", "hex")),
]);
const D = (-121665n * power(121666n, P - 2n) % P + P) % P;

function littleEndian(raw: Buffer): bigint {
  return BigInt("0x" + Buffer.from(raw).reverse().toString("hex"));
}

function power(base: bigint, exponent: bigint): bigint {
  let out = 1n;
  for (; exponent > 0n; exponent >>= 1n, base = base * base % P) if (exponent & 1n) out = out * base % P;
  return out;
}

/** Reads a public key and refuses one under which signatures can be forged. */
export function publicKey(x: string): Buffer {
  const raw = decode64(x, "key");
  if (raw.length !== 32) throw new Refused("key", "not 32 bytes");
  const y = BigInt.asUintN(255, littleEndian(raw));
  const u = (y * y + P - 1n) % P, v = (D * y * y + 1n) % P;
  if (y >= P || SMALL_ORDER.has(y) || power(u * v % P, (P - 1n) / 2n) === P - 1n) throw new Refused("key", "not a point that signs");
  return raw;
}

export function thumbprint(x: string): Promise<string> {
  return calculateJwkThumbprint({ kty: "OKP", crv: "Ed25519", x });
}

/** The keys that entries of a keyset name; one bad key refuses all. */
export async function trust(entries: Jwk[]): Promise<Keys> {
  const keys: Keys = new Map();
  for (const e of entries) {
    const { kid, x } = e;
    if (e.kty !== "OKP" || e.crv !== "Ed25519" || e.alg !== "EdDSA" || e.use !== "sig" || !kid || !x || keys.has(kid) || (await thumbprint(x)) !== kid) {
      throw new Refused("key", "not an Ed25519 signing key of its kid");
    }
    publicKey(x);
    keys.set(kid, { x, for: e.for ?? [], aud: e.aud ?? [], nbf: e.nbf, revoked: e.state === "revoked" || (e.revoked_at ?? 0) !== 0 });
  }
  return keys;
}

/** The keys that a product pins: they sign keysets and nothing else. */
export async function pinRoots(list: string[]): Promise<Keys> {
  const keys: Keys = new Map();
  for (const x of list) {
    publicKey(x);
    keys.set(await thumbprint(x), { x, for: ["keyset+jwt"], aud: ["*"], nbf: 0, revoked: false });
  }
  return keys;
}

// --- documents ---

/** What a reader expects of a document. now is in seconds. */
export interface Expected {
  keys: Keys;
  now: number;
  issuer?: string;
  audience?: string;
  environment?: string;
  uri?: string;
  floor?: number;
}

/** Verifies a document and returns its claims, or throws Refused. */
export async function read<T extends Typ>(token: string, typ: T, want: Expected): Promise<Claims[T]> {
  if (Buffer.byteLength(token) > CAPS[typ]) throw new Refused("too_long");
  const parts = token.split(".");
  if (parts.length !== 3 || !parts.every((p) => /^[A-Za-z0-9_-]+$/.test(p))) throw new Refused("malformed");
  const [head, body, tail] = parts as [string, string, string];
  const raw = decode64(head);
  if (head.length > 512 || raw.includes("\\")) throw new Refused("header");
  const header = readJson(raw, "header");
  const { alg, kid } = header;
  if (Object.keys(header).sort().join() !== "alg,kid,typ" || alg !== "EdDSA" || header.typ !== typ || typeof kid !== "string" || !kid) throw new Refused("header");
  const key = want.keys.get(kid);
  if (!key || !key.for.includes(typ) || (typ !== "keyset+jwt" && !covers(key, want.audience))) throw new Refused("unknown_key");
  if (key.revoked) throw new Refused("key_revoked");
  if (tail.length !== 86) throw new Refused("signature");
  decode64(tail);
  try {
    await compactVerify(token, await importJWK({ kty: "OKP", crv: "Ed25519", x: key.x }, "EdDSA"), { algorithms: ["EdDSA"] });
  } catch {
    throw new Refused("signature");
  }
  const claims = claimsOf(typ, readJson(decode64(body)));
  expected(typ, claims, key, want);
  if (typ === "keyset+jwt") await sound(claims as Claims["keyset+jwt"], want.floor ?? 0);
  return claims;
}

function covers(key: Key, audience: string | undefined): boolean {
  return key.aud.includes("*") || (audience !== undefined && key.aud.includes(audience));
}

/** Whose document it is, for whom, and when. */
function expected<T extends Typ>(typ: T, claims: Claims[T], key: Key, want: Expected): void {
  const c: { iss: string; iat: number; sub?: string; aud?: string; env?: string; nbf?: number; exp?: number } = claims;
  if (want.issuer !== undefined && c.iss !== want.issuer) throw new Refused("issuer");
  if (c.aud !== undefined && c.aud !== want.audience) throw new Refused("audience");
  if (c.env !== undefined && c.env !== (want.environment ?? "live")) throw new Refused("env");
  if (typ === "statuslist+jwt" && c.sub !== want.uri) throw new Refused("mismatch");
  if ((c.nbf ?? 0) > want.now + SKEW) throw new Refused("not_yet_valid");
  if (c.exp !== undefined && c.exp <= want.now - SKEW) throw new Refused("expired");
  if (c.iat > want.now + SKEW) throw new Refused("not_yet_valid");
  if (c.iat < key.nbf - SKEW) throw new Refused("unknown_key", "issued before its key was valid");
}

/** A keyset is no older than one seen before, and all its keys are good. */
async function sound(c: Claims["keyset+jwt"], floor: number): Promise<void> {
  if (c.num < floor) throw new Refused("rollback");
  try {
    await trust(c.keys);
    await trust(c.roots ?? []);
  } catch (e) {
    throw e instanceof Refused ? new Refused("payload", e.message) : e;
  }
}

/** Inflates the list of a status list; returns a function from index to status. */
export function statusBits(lst: string): (idx: number) => number {
  const most = STATUS_LIST_SIZE / 4, packed = decode64(lst, "payload");
  let raw: Buffer;
  try {
    raw = inflateSync(packed, { maxOutputLength: most });
  } catch {
    throw new Refused("payload", "status list is broken or too long");
  }
  if (raw.length === 0) throw new Refused("payload", "status list is empty");
  return (idx) => (idx >= 0 && idx < raw.length * 4 ? (raw[idx >> 2]! >> ((idx % 4) * 2)) & 3 : 1);
}

const anything = text(/^.*$/su, MAX_FILE), something = text(/^.+$/su, MAX_FILE);
const FILE = record({ v: integer(Number.MIN_SAFE_INTEGER), license: something, keyset: something }, { lease: anything, status_list: anything });

/** Splits a license file into its documents, which are still to be verified. */
export function licenseFile(armoured: string): ReturnType<typeof FILE> {
  if (Buffer.byteLength(armoured) > MAX_FILE) throw new Refused("too_long");
  const m = /^\s*-----BEGIN MINTREU LICENSE-----(.*)-----END MINTREU LICENSE-----\s*$/s.exec(armoured);
  const body = (m?.[1] ?? "*").replace(/[\r\n \t]/g, "");
  const raw = Buffer.from(body, "base64");
  if (raw.toString("base64") !== body) throw new Refused("malformed");
  const file = FILE(readJson(raw));
  if (file.v !== 1) throw new Refused("unsupported");
  return file;
}

const REQUEST = record({ key: ident, product: ident, dev: byCode(ident), nonce: text(/^[!-~]{16,128}$/), at: time }, { usr: ident, sdk: ident });
const RETURN = record({ act: ident, seq: integer(1), nonce: ident, mac: ident });
export type Returned = ReturnType<typeof RETURN>;

/** Reads what a person carries from a machine without a network: MREQ1. a request, MREL1. a return. */
export function carried(prefix: "MREQ1." | "MREL1.", typed: string): ReturnType<typeof REQUEST> | Returned {
  const bare = typed.replace(/[ \t\r\n]/g, "");
  if (Buffer.byteLength(bare) > 2048 || Buffer.byteLength(typed) > 4096) throw new Refused("too_long");
  if (!bare.startsWith(prefix)) throw new Refused("malformed");
  return (prefix === "MREQ1." ? REQUEST : RETURN)(readJson(decode64(bare.slice(prefix.length))));
}

/** Whether a return was made by somebody who has the text of the lease. */
export function proves(back: Returned, lease: string): boolean {
  const mac = createHmac("sha256", createHash("sha256").update(lease).digest()).update(`MREL1.${back.act}.${back.seq}.${back.nonce}`).digest("base64url");
  return mac.length === back.mac.length && timingSafeEqual(Buffer.from(mac), Buffer.from(back.mac));
}

export function deviceDigest(product: string, component: string, value: string): string {
  return createHmac("sha256", product).update(component + "=" + value).digest().subarray(0, 16).toString("base64url");
}

const CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/** Returns the one spelling of a license key and true, or the text itself and false. */
export function normalKey(typed: string): [string, boolean] {
  const upper = typed.trim().toUpperCase(), dash = upper.indexOf("-");
  const prefix = upper.slice(0, Math.max(dash, 0)).trim();
  const body = upper.slice(dash + 1).replace(/[ \t-]/g, "").replace(/O/g, "0").replace(/[IL]/g, "1");
  if (Buffer.byteLength(typed) > 128 || dash < 0 || !/^[A-Z][A-Z0-9]{0,9}$/.test(prefix) || !new RegExp(`^[${CROCKFORD}]{30}$`).test(body)) return [typed, false];
  const h = createHash("sha256").update(`mintreu license key:${prefix}-${body.slice(0, 28)}`).digest();
  if (body.slice(28) !== CROCKFORD[h[0]! >> 3]! + CROCKFORD[((h[0]! << 2) & 31) | (h[1]! >> 6)]!) return [typed, false];
  return [[prefix, ...body.match(/.{5}/g)!].join("-"), true];
}
