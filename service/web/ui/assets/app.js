// Comfort for pages that work without it: copying a text, the progress of an upload, one submission at a time.

for (const button of document.querySelectorAll("[data-copy]")) {
  if (!navigator.clipboard) break;
  button.hidden = false;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(button.dataset.copy);
    const was = button.textContent;
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = was; }, 2000);
  });
}

// On a narrow screen the tabs scroll; the one that is open is brought into view.
const tabs = document.querySelector(".tabs");
const open = tabs?.querySelector("[aria-current=page]");
if (open) tabs.scrollLeft = open.offsetLeft - (tabs.clientWidth - open.clientWidth) / 2;

// A form is sent once; the button comes back when the page does.
for (const form of document.querySelectorAll("form[method=post]")) {
  form.addEventListener("submit", (event) => {
    if (form.dataset.sent) { event.preventDefault(); return; }
    form.dataset.sent = "yes";
    setTimeout(() => { delete form.dataset.sent; }, 4000);
  });
}
addEventListener("pageshow", () => { for (const form of document.forms) delete form.dataset.sent; });

// A page that waits for something looks every few seconds whether it has come, and is loaded anew only then.
const pause = Number(document.body.dataset.look);
if (pause) {
  setInterval(async () => {
    if (document.hidden) return;
    const answer = await fetch(location.href).catch(() => null);
    const title = answer && answer.ok && /<title>([^<]*)<\/title>/.exec(await answer.text());
    if (title && title[1] !== document.title) location.reload();
  }, 1000 * pause);
}

// The first thing that is wrong with a form takes the focus, so that it is read and mended first.
const wrong = document.querySelector("[aria-invalid=true], .note[role=alert]");
if (wrong) wrong.focus();

// A form with data-upload sends its file with progress shown in its <progress>; the answer replaces the page.
for (const form of document.querySelectorAll("form[data-upload]")) {
  form.addEventListener("submit", (event) => {
    const bar = form.querySelector("progress");
    const note = form.querySelector("[data-progress]");
    if (!bar) return;
    event.preventDefault();
    const request = new XMLHttpRequest();
    bar.hidden = false;
    request.upload.addEventListener("progress", (e) => {
      if (!e.lengthComputable) return;
      bar.max = e.total;
      bar.value = e.loaded;
      if (note) note.textContent = Math.floor(100 * e.loaded / e.total) + " % sent";
    });
    request.addEventListener("load", () => { location.assign(request.responseURL || location.href); });
    request.addEventListener("error", () => {
      bar.hidden = true;
      delete form.dataset.sent;
      if (note) note.textContent = "The connection broke. Nothing was stored; send the file again.";
    });
    request.open("POST", form.action);
    request.send(new FormData(form));
  });
}
