"use strict";
for (const tools of document.querySelectorAll(".tools")) tools.hidden = false;
const only = document.getElementById("only");
const shown = document.getElementById("shown");
function filter(on) {
  document.body.classList.toggle("only", on);
  only.setAttribute("aria-pressed", on);
  const rows = document.querySelectorAll(".matrix tbody tr");
  const left = on ? document.querySelectorAll(".matrix tbody tr:not(.same)").length : rows.length;
  shown.textContent = left + " of " + rows.length + " rows shown";
}
only.addEventListener("click", () => filter(!document.body.classList.contains("only")));
filter(location.hash === "#only-differences");

async function copy(code) {
  try { await navigator.clipboard.writeText(code.textContent); return true; } catch { /* no secure context */ }
  const range = document.createRange();
  range.selectNodeContents(code);
  getSelection().removeAllRanges();
  getSelection().addRange(range);
  return document.execCommand("copy");
}
for (const pre of document.querySelectorAll("pre.cmd")) {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = "Copy";
  button.setAttribute("aria-label", "Copy: " + pre.textContent);
  button.addEventListener("click", async () => {
    button.textContent = (await copy(pre.firstElementChild)) ? "Copied" : "Selected";
    setTimeout(() => { button.textContent = "Copy"; }, 1600);
  });
  pre.classList.add("with-copy");
  pre.append(button);
}
function reveal() {
  const cell = location.hash.length > 1 && document.getElementById(location.hash.slice(1));
  if (cell && cell.matches("td")) cell.querySelectorAll("details").forEach((d) => { d.open = true; });
}
addEventListener("hashchange", reveal);
reveal();
