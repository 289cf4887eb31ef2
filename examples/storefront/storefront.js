// A storefront without a server of its own: it reads the catalogue and makes checkouts by Mintreu's API, from any origin that was
// allowed with --storefront-origin. The address of the API is in the page, <meta name="mintreu-api">.
//
//   #/                  the catalogue, with search and filter
//   #/p/<slug>          a product, its plans, and the form to buy one
//   ?checkout=<order>   back from the payment page; ?left as well when nothing was paid
const api = (document.documentElement.dataset.api || document.querySelector('meta[name="mintreu-api"]').content).replace(/\/+$/, "");
const home = location.origin + location.pathname;
const main = document.querySelector("main");

// h makes an element. Texts become text nodes, so that nothing that the API says is ever read as HTML.
function h(tag, props = {}, ...children) {
  const e = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (typeof value === "function") e.addEventListener(name, value);
    else if (value === true) e.setAttribute(name, "");
    else if (value !== false && value != null) e.setAttribute(name, value);
  }
  e.append(...children.flat().filter((c) => c != null));
  return e;
}

// show replaces the page's content and, unless it is the first, tells assistive technology by moving the focus.
let first = true;
function show(title, ...children) {
  document.title = title + " · Shop";
  main.replaceChildren(h("h1", {}, title), ...children.filter((c) => c != null));
  if (!first) { main.focus({preventScroll: true}); scrollTo(0, 0); }
  first = false;
}

const note = (kind, text, role = "status") => h("p", {class: "note " + kind, role}, text);

// Problem is what the API says went wrong: a sentence for people, and what is wrong with each field.
class Problem extends Error {
  constructor(body) { super(body.detail); this.code = body.code; this.fields = body.errors || []; this.after = body.retry_after; }
}

// call asks the API. No answer and an answer that is none of the API's become problems as well.
async function call(path, body, key) {
  let answer, text;
  try {
    answer = await fetch(api + path, body === undefined ? {} : {method: "POST", body, headers: {"Content-Type": "application/json", "Idempotency-Key": key}});
    text = await answer.json();
  } catch {
    throw new Problem({code: "away", detail: "The shop cannot be reached at the moment. Nothing was charged; try again."});
  }
  if (!answer.ok) throw new Problem(text);
  return text;
}

function money(p) {
  const f = new Intl.NumberFormat(navigator.language, {style: "currency", currency: p.currency});
  return f.format(p.amount / 10 ** f.resolvedOptions().maximumFractionDigits);
}

const every = {one_time: "", month: " a month", year: " a year"};
const kinds = {perpetual: "Yours for good", timed: "For a fixed time", subscription: "Subscription", trial: "Trial"};
const offer = (plan, currency) => plan.prices.find((p) => p.price.currency === currency);
const price = (o) => money(o.price) + every[o.billing];

// catalogue fetches all that is for sale, once.
let items;
async function catalogue() {
  if (items) return items;
  const all = [];
  for (let cursor = ""; ;) {
    const page = await call("/v1/catalog?limit=100" + (cursor && "&cursor=" + encodeURIComponent(cursor)));
    all.push(...page.items);
    if (!(cursor = page.next)) return items = all;
  }
}

const wanted = {text: "", kind: "", currency: ""}; // what the visitor looks for, kept while they look around
const typed = {plan: "", email: "", country: ""}; // what the buyer said, kept when the form is made anew

// currencies lists what plans are sold in; the visitor's choice is kept if it is among them.
function currencies(plans) {
  const all = [...new Set(plans.flatMap((p) => p.prices.map((o) => o.price.currency)))].sort();
  if (!all.includes(wanted.currency)) wanted.currency = all.includes("EUR") ? "EUR" : all[0] || "";
  return all;
}

function field(id, label, control, hint) {
  return h("div", {class: "field"}, h("label", {for: id}, label), control, hint && h("p", {class: "soft", id: id + "-hint"}, hint));
}

const select = (id, options, value, change) => h("select", {id, name: id, change}, options.map(([v, text]) => h("option", {value: v, selected: v === value}, text)));

async function list() {
  const here = location.href, found = await catalogue();
  if (location.href !== here) return; // the visitor went on
  if (found.length === 0) return show("Shop", h("p", {}, "Nothing is for sale yet. Come back soon."));
  const plans = found.flatMap((i) => i.plans);
  const grid = h("ul", {class: "grid"});
  const count = h("p", {class: "soft", role: "status"});
  const fill = () => {
    const words = wanted.text.toLowerCase().split(/\s+/).filter(Boolean);
    const fits = found.filter((i) => {
      const text = [i.name, i.description, ...i.plans.flatMap((p) => [p.name, p.description])].join(" ").toLowerCase();
      return words.every((w) => text.includes(w)) && i.plans.some((p) => (!wanted.kind || p.type === wanted.kind) && offer(p, wanted.currency));
    });
    grid.replaceChildren(...fits.map((i) => {
      const offers = i.plans.map((p) => offer(p, wanted.currency)).filter(Boolean).sort((a, b) => a.price.amount - b.price.amount);
      return h("li", {class: "card"}, h("h2", {}, h("a", {href: "#/p/" + encodeURIComponent(i.slug)}, i.name)), h("p", {class: "soft"}, i.description),
        h("p", {}, (offers.length > 1 ? "from " : "") + price(offers[0])));
    }));
    count.textContent = fits.length === 0 ? "Nothing fits. Try fewer words or another currency." : fits.length === 1 ? "1 product" : fits.length + " products";
  };
  const pick = (name) => (e) => { wanted[name] = e.target.value; fill(); };
  const used = [...new Set(plans.map((p) => p.type))].sort();
  show("Shop", h("form", {class: "filter", role: "search", submit: (e) => e.preventDefault()},
    field("text", "Search", h("input", {id: "text", type: "search", value: wanted.text, input: pick("text")})),
    field("kind", "Kind", select("kind", [["", "All"], ...used.map((k) => [k, kinds[k] || k])], wanted.kind, pick("kind"))),
    field("currency", "Currency", select("currency", currencies(plans).map((c) => [c, c]), wanted.currency, pick("currency")))), count, grid);
  fill();
}

// product shows one product. said is what the visitor has to know first.
async function product(slug, said) {
  const here = location.href, item = await call("/v1/catalog/" + encodeURIComponent(slug));
  if (location.href !== here) return;
  const all = currencies(item.plans);
  const plans = item.plans.filter((p) => offer(p, wanted.currency));
  const back = h("p", {}, h("a", {href: "#/"}, "← All products"));
  if (plans.length === 0) return show(item.name, back, h("p", {}, item.description), note("wait", "It cannot be bought at the moment."));
  const form = h("form", {class: "buy", novalidate: true, submit: (e) => { e.preventDefault(); buy(item, plans, form); }, input: (e) => { if (e.target.name in typed) typed[e.target.name] = e.target.value; }},
    said && note("bad", said, "alert"),
    h("fieldset", {}, h("legend", {}, "Plan"), plans.map((p, i) => h("div", {class: "plan"},
      h("input", {type: "radio", name: "plan", id: "plan" + i, value: p.id, checked: i === Math.max(0, plans.findIndex((q) => q.id === typed.plan))}), h("label", {for: "plan" + i}, p.name), h("strong", {}, price(offer(p, wanted.currency))),
      h("p", {class: "soft"}, [p.description, kinds[p.type]].filter(Boolean).join(" · "))))),
    all.length > 1 ? field("currency", "Currency", select("currency", all.map((c) => [c, c]), wanted.currency, (e) => { wanted.currency = e.target.value; route(); })) : null,
    field("email", "E-mail", h("input", {id: "email", name: "email", type: "email", value: typed.email, autocomplete: "email", required: true, "aria-describedby": "email-hint"}), "License and receipt go there."),
    field("country", "Country", h("input", {id: "country", name: "country", value: typed.country, autocomplete: "country", maxlength: 2, placeholder: "DE", "aria-describedby": "country-hint"}), "Two letters. It decides the tax."),
    tick("terms", "I agree to the terms of sale."),
    tick("immediate_delivery", "Deliver at once. I know that this ends my right of withdrawal."),
    h("button", {type: "submit"}, "Buy"));
  show(item.name, back, h("div", {class: "two"}, h("div", {}, h("p", {}, item.description)), form));
}

const tick = (id, label) => h("div", {class: "tick"}, h("input", {type: "checkbox", id, name: id}), h("label", {for: id}, label));

// buy makes the checkout and leads to the payment page. The same basket is sent with the same Idempotency-Key, so that pressing
// again after a lost answer makes no second order.
async function buy(item, plans, form) {
  const button = form.querySelector("button");
  if (button.getAttribute("aria-disabled") === "true") return;
  const data = new FormData(form);
  const plan = plans.find((p) => p.id === data.get("plan"));
  const back = "#/p/" + encodeURIComponent(item.slug);
  const body = JSON.stringify({
    lines: [{plan: plan.id, quantity: 1, price: offer(plan, wanted.currency).id}], currency: wanted.currency,
    email: data.get("email").trim(), country: data.get("country").trim().toUpperCase(),
    consent: {terms: data.has("terms"), immediate_delivery: data.has("immediate_delivery")},
    success_url: home, cancel_url: home + "?left=1" + back,
  });
  clear(form);
  if (!data.get("email").trim()) return tell(form, new Problem({detail: "Please say where your license goes.", errors: [{name: "/email", detail: "An address is needed"}]}));
  const last = JSON.parse(sessionStorage.getItem("attempt") || "{}");
  const key = last.body === body ? last.key : crypto.randomUUID();
  sessionStorage.setItem("attempt", JSON.stringify({body, key}));
  button.setAttribute("aria-disabled", "true");
  button.textContent = "One moment …";
  try {
    const order = await call("/v1/checkouts", body, key);
    sessionStorage.removeItem("attempt");
    sessionStorage.setItem(order.id, order.access || "");
    location.assign(order.url || home + "?checkout=" + order.id);
  } catch (problem) {
    button.removeAttribute("aria-disabled");
    button.textContent = "Buy";
    if (problem.code !== "away") sessionStorage.removeItem("attempt"); // it was answered: what follows is another attempt
    if (["price-changed", "not-for-sale"].includes(problem.code)) {
      items = undefined;
      return product(item.slug, problem.message).catch(fail);
    }
    tell(form, problem);
  }
}

function clear(form) {
  form.querySelectorAll(".fault, .note").forEach((e) => e.remove());
  form.querySelectorAll("[aria-invalid]").forEach((e) => {
    e.removeAttribute("aria-invalid");
    e.removeAttribute("aria-describedby");
    if (document.getElementById(e.id + "-hint")) e.setAttribute("aria-describedby", e.id + "-hint");
  });
}

const sentence = (text) => text.charAt(0).toUpperCase() + text.slice(1) + (/[.!?]$/.test(text) ? "" : ".");

// tell shows a problem above the form, and beside each field what is wrong with it; what was typed stays.
function tell(form, problem) {
  let target;
  for (const f of problem.fields) {
    const input = form.querySelector("#" + CSS.escape(f.name.split("/").pop()));
    if (!input) continue;
    input.setAttribute("aria-invalid", "true");
    input.setAttribute("aria-describedby", [input.getAttribute("aria-describedby"), input.id + "-fault"].filter(Boolean).join(" "));
    input.parentElement.append(h("p", {class: "fault", id: input.id + "-fault"}, sentence(f.detail)));
    target = target || input;
  }
  form.prepend(note("bad", problem.message + (problem.after ? ` Try again in ${problem.after} s.` : ""), "alert"));
  (target || form.querySelector("button")).focus();
}

const tones = {fulfilled: "good", refunded: "bad", closed: "bad"};

// thanks shows an order to who comes back from paying, and looks again until it is fulfilled. Without the access code, which only
// the browser that bought has, there is nothing to tell but where the license goes.
async function thanks(id) {
  const access = sessionStorage.getItem(id);
  if (!access) return show("Thank you", note("good", "As soon as your payment has arrived, your license and receipt are in your mail."), again());
  const query = "?access=" + encodeURIComponent(access);
  const here = location.href;
  for (let wait = 500, shown = ""; location.href === here; wait = Math.min(wait * 1.5, 5000)) {
    const order = await call("/v1/checkouts/" + encodeURIComponent(id) + query);
    if (order.state !== shown) show(order.state === "closed" ? "Nothing was charged" : "Thank you", note(tones[order.state] || "wait", order.next), await grants(order, access),
      order.receipt ? h("p", {}, "Receipt " + order.receipt.number + ": ", h("a", {href: api + order.receipt.html + query}, "page"), " or ", h("a", {href: api + order.receipt.pdf + query}, "PDF")) : null, again());
    shown = order.state;
    if (!["pending", "paid"].includes(order.state)) return;
    await new Promise((done) => setTimeout(done, wait));
  }
}

const again = () => h("p", {}, h("a", {href: home + "#/"}, "Back to the shop"));

// grants lists what an order gave. An API key is shown once, when the buyer says so.
function grants(order, access) {
  if (order.grants.length === 0) return null;
  return h("section", {"aria-labelledby": "keys"}, h("h2", {id: "keys"}, "Your keys"), order.grants.map((g) => {
    const out = h("div", {}, h("p", {}, g.name + (g.kind === "apikey" ? ", API key" : ", license key")), g.key ? h("code", {class: "key"}, g.key) : h("p", {class: "soft"}, "It ends in " + g.hint + "."));
    if (g.reveal) {
      out.append(h("button", {type: "button", click: async (e) => {
        try {
          const {keys} = await call("/v1/checkouts/" + encodeURIComponent(order.id) + "/reveal", JSON.stringify({access}), crypto.randomUUID());
          const mine = keys.find((k) => k.id === g.id);
          e.target.replaceWith(h("div", {}, h("code", {class: "key", tabindex: "0"}, mine ? mine.key : "Shown before; ask for a new one."), h("p", {class: "soft", role: "status"}, "Copy it now. It is not shown again.")));
          document.querySelectorAll("section button").forEach((b) => b.remove()); // one call reveals all of an order
        } catch (problem) {
          e.target.after(h("p", {class: "fault", role: "alert"}, problem.message));
        }
      }}, "Show the API key, once"));
    }
    return out;
  }));
}

const fail = (problem) => {
  console.debug(problem);
  show("This did not work", note("bad", problem.message || "Something went wrong.", "alert"), h("p", {}, h("button", {type: "button", click: route}, "Try again")), again());
};

// route shows what the address says.
function route() {
  const query = new URLSearchParams(location.search);
  const at = location.hash.match(/^#\/p\/(.+)$/);
  let page;
  if (at) page = product(decodeURIComponent(at[1]), query.has("left") ? "You left without paying. Nothing was charged." : undefined);
  else if (query.has("checkout") && !location.hash.startsWith("#/")) page = thanks(query.get("checkout"));
  else page = list();
  page.catch(fail);
}

addEventListener("hashchange", () => {
  if (!location.hash.startsWith("#/")) return; // the link to the content
  if (location.search) history.replaceState(null, "", home + location.hash); // the visitor goes on: what they came back for is over
  route();
});
route();
