// Checks the proof on the page of an entry. The proof and the key stay in the browser.

// Where this tab keeps the key that was entered.
const STORED = 'auditx-verifier-key';

// The algorithm byte of an Ed25519 key (C2SP signed-note).
const ED25519 = 1;

const form = document.getElementById('check');
const input = document.getElementById('check-key');
const steps = document.getElementById('check-steps');
const outcome = document.getElementById('check-outcome');
const shown = (id) => document.getElementById(id).textContent;

/** The browser lacks what a step needs. Any other error means that the step failed. */
class Unable extends Error {}

function ensure(condition, message) {
  if (!condition) throw new Error(message);
}

const utf8 = (text) => new TextEncoder().encode(text);
const hex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');

/** The bytes of base64; null if it is not base64, or not its canonical form, which atob does not require. */
function decoded(text) {
  try {
    const bytes = atob(text);
    return btoa(bytes) === text ? Uint8Array.from(bytes, (char) => char.charCodeAt(0)) : null;
  } catch {
    return null;
  }
}

function hashOf(text) {
  const bytes = decoded(text);
  ensure(bytes?.length === 32, 'it contains a hash that is not 32 bytes in base64');
  return bytes;
}

function numberOf(text) {
  ensure(/^(0|[1-9][0-9]{0,18})$/.test(text), `it contains "${text}" where a number must be`);
  return BigInt(text);
}

/** Reads a C2SP tlog-proof that has the line as extra data, and a checkpoint without extension lines. */
function parse(proof) {
  const [head, note, signatures, rest] = proof.split('\n\n');
  ensure(signatures?.endsWith('\n') && rest === undefined, 'it has no signed checkpoint');
  const [version, extra, index, ...path] = head.split('\n');
  ensure(version === 'c2sp.org/tlog-proof@v1', 'it does not begin as a proof does');
  const line = extra?.startsWith('extra ') ? decoded(extra.slice(6)) : null;
  ensure(line, 'it does not contain its line');
  ensure(index?.startsWith('index '), 'it has no index');
  const [origin, size, root, extension] = note.split('\n');
  ensure(root !== undefined && extension === undefined, 'its checkpoint is not a tree head');
  return {
    line,
    index: numberOf(index.slice(6)),
    path: path.map(hashOf),
    head: `${note}\n`,
    origin,
    size: numberOf(size),
    root: hashOf(root),
    signatures: signatures.slice(0, -1).split('\n'),
  };
}

/** Makes characters visible that hide or reorder text, as the server does (`layout::visible`). */
function visible(text) {
  const hidden =
    /[\p{Cc}\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\u{e0000}-\u{e007f}]/gu;
  return text.replace(hidden, (char) => `\\u{${char.codePointAt(0).toString(16)}}`);
}

function checkLine({ line, index }) {
  const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(line);
  ensure(visible(text) === shown('line'), 'the line in the proof is another one');
  ensure(form.dataset.seq === String(index), `it is the proof of entry ${index}`);
  ensure(text.startsWith(`{"seq":${index},`), `the number in the line is not ${index}`);
}

async function sha256(...parts) {
  if (!crypto.subtle) {
    throw new Unable('this page came over plain HTTP from another machine, and browsers let such pages '
      + 'compute no hashes: open it over HTTPS, or download the proof and run auditx check');
  }
  return new Uint8Array(await crypto.subtle.digest('SHA-256', await new Blob(parts).arrayBuffer()));
}

const node = (left, right) => sha256(Uint8Array.of(1), left, right);

/** Computes the hash of a leaf (RFC 6962, 2.1); the stub of an erased line contains it. */
async function leaf(line) {
  const stub = /^\{"seq":[0-9]+,"erased":"([0-9a-f]{64})"\}$/.exec(new TextDecoder().decode(line));
  if (!stub) return sha256(Uint8Array.of(0), line);
  return Uint8Array.from(stub[1].match(/../g), (digits) => parseInt(digits, 16));
}

/** Checks the path from the line to the root (RFC 9162, 2.1.3.2). */
async function checkPath({ line, index, path, size, root }) {
  ensure(index < size, `the checkpoint covers only ${size} lines`);
  let [at, last, hash] = [index, size - 1n, await leaf(line)];
  for (const sibling of path) {
    ensure(last > 0n, 'the proof has too many hashes');
    if (at % 2n === 1n || at === last) {
      hash = await node(sibling, hash);
      while (at % 2n === 0n && at > 0n) [at, last] = [at / 2n, last / 2n];
    } else {
      hash = await node(hash, sibling);
    }
    [at, last] = [at / 2n, last / 2n];
  }
  ensure(last === 0n, 'the proof has too few hashes');
  ensure(hex(hash) === hex(root), 'they lead to another root');
}

/** Reads a C2SP verifier key: `<name>+<id>+<base64 of the algorithm and the public key>`. */
async function keyOf(text) {
  const [, name, id, encoded] = /^([^+\s]+)\+([0-9a-f]{8})\+(\S+)$/.exec(text) ?? [];
  const bytes = encoded ? decoded(encoded) : null;
  ensure(bytes?.length === 33 && bytes[0] === ED25519,
    'this is not a verifier key as auditx key show prints it: NAME+ID+KEY');
  const hash = await sha256(utf8(`${name}\n`), bytes);
  ensure(hex(hash.slice(0, 4)) === id, 'the key was altered: its id does not belong to it');
  return { name, id, publicKey: bytes.slice(1) };
}

async function imported(publicKey) {
  try {
    return await crypto.subtle.importKey('raw', publicKey, 'Ed25519', false, ['verify']);
  } catch (error) {
    if (error.name !== 'NotSupportedError') throw new Error('the key is not an Ed25519 public key');
    throw new Unable('this browser cannot check Ed25519 signatures: Chromium 137, Firefox 129, Safari 17 and '
      + 'later can');
  }
}

/** Checks the signatures that name this key; the checkpoint may have others, of keys before or after it. */
async function checkSignature({ head, origin, signatures }, text) {
  const key = await keyOf(text);
  ensure(key.name === origin, `the key is of the log ${key.name}, the checkpoint of ${origin}`);
  const own = [];
  for (const line of signatures) {
    const [, name, encoded] = /^\u2014 (\S+) (\S+)$/.exec(line) ?? [];
    const bytes = encoded ? decoded(encoded) : null;
    ensure(bytes?.length > 4, 'a signature of the checkpoint cannot be read');
    if (name === key.name && hex(bytes.slice(0, 4)) === key.id) own.push(bytes.slice(4));
  }
  ensure(own.length > 0, 'none of its signatures is of this key');
  const publicKey = await imported(key.publicKey);
  for (const signature of own) {
    const isValid = await crypto.subtle.verify('Ed25519', publicKey, signature, utf8(head));
    ensure(isValid, 'its signature with this key is not valid');
  }
}

const STEPS = [
  ['The proof can be read', async (found) => Object.assign(found, parse(shown('proof')))],
  ['The line above is the line in the proof', checkLine],
  ['The line and the hashes in the proof lead to the root in its checkpoint', checkPath],
  ['The checkpoint is signed with this key', checkSignature],
];

/** Returns the state of each step, and the reason of the first that did not pass; no step after it runs. */
async function results(key) {
  const [proof, found] = [{}, []];
  for (const [claim, step] of STEPS) {
    if (found.some(({ state }) => state !== 'Passed')) {
      found.push({ claim, state: 'Not checked' });
      continue;
    }
    try {
      await step(proof, key);
      found.push({ claim, state: 'Passed' });
    } catch (error) {
      const state = error instanceof Unable ? 'Not checked' : 'Failed';
      found.push({ claim, state, reason: error.message });
    }
  }
  return found;
}

function conclusion(found, isOwnKey) {
  const missed = found.findIndex(({ state }) => state !== 'Passed');
  if (missed >= 0) {
    const what = found[missed].state === 'Failed' ? 'failed' : 'could not be checked';
    return `Step ${missed + 1} ${what}: the proof is not confirmed.`;
  }
  const confirmed = 'The line matches the proof, the proof the checkpoint, the checkpoint ';
  if (!isOwnKey) return `${confirmed}this key.`;
  return `${confirmed}the key that the trail names. Everyone who can write the trail can name a key: check again `
    + 'with the key that you were given.';
}

function clear() {
  steps.replaceChildren();
  outcome.textContent = '';
}

let checks = 0;

async function check(key, isOwnKey) {
  clear();
  checks += 1;
  const current = checks;
  const found = await results(key);
  // Another key was entered or another check began.
  if (current !== checks) return;
  steps.append(...found.map(({ claim, state, reason }) => {
    const item = document.createElement('li');
    item.textContent = visible(`${state}: ${claim}${reason ? `: ${reason}` : ''}`);
    item.classList.toggle('problem', state === 'Failed');
    return item;
  }));
  outcome.textContent = conclusion(found, isOwnKey);
}

/** Calls the storage of the tab, which a browser may forbid; the key is then kept in the page only. */
function stored(call) {
  try {
    return call(sessionStorage);
  } catch {
    return null;
  }
}

// An entry that is not signed yet has no proof.
if (form) {
  input.value = stored((storage) => storage.getItem(STORED)) ?? '';
  input.addEventListener('input', () => {
    checks += 1;
    clear();
  });
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    const key = input.value.trim();
    stored((storage) => storage.setItem(STORED, key));
    check(key, false);
  });
  document.getElementById('check-own')?.addEventListener('click', () => check(shown('trail-key'), true));
  form.hidden = false;
}
