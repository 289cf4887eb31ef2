// Reads tokens with jose, told what a vendor's back end would know: the JWK set, issuer, audience, type and time. For each it tells why it
// refuses it, or the SHA-256 of the payload that it read.
import { createHash, webcrypto } from "node:crypto";
import { readFileSync } from "node:fs";

globalThis.crypto ??= webcrypto; // Node.js 18 has it under this name alone
const { compactVerify, createLocalJWKSet, jwtVerify } = await import("jose");

const { jwks, issuer, audience, typ, now, tolerance, tokens } = JSON.parse(readFileSync(0, "utf8"));
const keys = createLocalJWKSet(jwks);
const options = { algorithms: ["EdDSA"], issuer, audience, typ, clockTolerance: tolerance, currentDate: new Date(now * 1000) };
const out = [];
for (const token of tokens) {
  try {
    await jwtVerify(token, keys, options);
    const { payload } = await compactVerify(token, keys, { algorithms: ["EdDSA"] });
    out.push({ payload: createHash("sha256").update(payload).digest("hex") });
  } catch (e) {
    out.push({ error: String(e.message || e) });
  }
}
process.stdout.write(JSON.stringify(out));
