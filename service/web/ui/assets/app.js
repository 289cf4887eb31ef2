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

// A form with data-upload sends its file with progress shown in its <progress>; then the page is loaded to which the answer leads, with what
// the answer has to say.
for (const form of document.querySelectorAll("form[data-upload]")) {
  const bar = form.querySelector("progress");
  const note = form.querySelector("[data-progress]");
  const broke = (text) => {
    bar.hidden = true;
    delete form.dataset.sent;
    note.textContent = text;
  };
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const request = new XMLHttpRequest();
    bar.hidden = false;
    request.upload.addEventListener("progress", (e) => {
      if (!e.lengthComputable) return;
      bar.max = e.total;
      bar.value = e.loaded;
      note.textContent = e.loaded < e.total ? Math.floor(100 * e.loaded / e.total) + " % sent" : "Sent; it is being stored.";
    });
    request.addEventListener("load", () => {
      const to = request.getResponseHeader("Location");
      if (to) location.assign(to);
      else broke("It was not taken. Load this page again, and send the file once more.");
    });
    request.addEventListener("error", () => broke("The connection broke. Nothing was stored; send the file again."));
    request.open("POST", form.action);
    request.setRequestHeader("X-Sent-By", "script");
    request.send(new FormData(form));
  });
}
