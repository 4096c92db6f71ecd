// Shows the leaf hash of the line on the page of an entry, as this browser computes it.

const out = document.getElementById('leaf-hash');
const line = document.getElementById('line');
// Without a secure context the browser gives pages no cryptography.
if (out && line && crypto.subtle) {
  const bytes = new TextEncoder().encode('\0' + line.textContent);
  const hash = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
  const digits = Array.from(hash, (byte) => byte.toString(16).padStart(2, '0')).join('');
  out.textContent = `Leaf hash of the line: ${digits}`;
  out.hidden = false;
}
