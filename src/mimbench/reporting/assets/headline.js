// The headline and the leaders of settings for what the filters show; sentences as in render/sentences.py.
const isShown = (row) => shown(DATA.conditions[row]);
const joined = (names) => [names.slice(0, -1).join(", "), ...names.slice(-1)].filter(Boolean).join(" and ");

function difference(ranking, first, second) {
  const known = ranking.differences[`${first},${second}`];
  if (known) return known;
  const back = ranking.differences[`${second},${first}`];
  return back && { ...back, mean: -back.mean, verdict: { better: "worse", worse: "better" }[back.verdict] || back.verdict };
}

// The shown conditions of a ranking: the leader, the next one, its lead, and those that are level with it.
function compareShown(ranking) {
  const order = ranking.order.filter(isShown);
  const [leader] = order;
  const others = order.slice(1).map((row) => ({ row, lead: difference(ranking, leader, row) })).filter(({ lead }) => lead);
  others.sort((a, b) => a.lead.mean - b.lead.mean);
  return { protocol: ranking.protocol, order, leader, next: others[0], ties: others.filter(({ lead }) => lead.tie).map(({ row }) => row) };
}

const labelOf = (row) => DATA.conditions[row].label;
const verdicts = (rows, protocol) => rows.filter(baselineShown).map((row) => DATA.conditions[row].untrained[protocol]).filter(Boolean);
// The untrained encoder of the same setting, unless a filter hides it.
const baselineShown = (row) => DATA.conditions.some((c) => !c.trained && shown(c) && setting(c) === setting(DATA.conditions[row]));

function againstUntrained(found) {
  const better = found.filter((verdict) => verdict === "better").length;
  const worse = found.filter((verdict) => verdict === "worse").length;
  if (found.length === 1) return `${better ? "beats" : worse ? "is worse than" : "does not beat"} the untrained encoder`;
  return `beats the untrained encoder in ${better} of ${found.length}${worse ? ` and is worse in ${worse}` : ""}`;
}

function sentence(protocol, title) {
  const found = DATA.rankings.filter((ranking) => ranking.protocol === protocol).map(compareShown).filter(({ order }) => order.length);
  const compared = found.filter(({ next }) => next);
  if (!compared.length) {
    const alone = verdicts(found.flatMap(({ order }) => order), protocol);
    return alone.length ? `${title}: pre-training ${againstUntrained(alone)}.` : "";
  }
  const led = compared.filter(({ ties }) => !ties.length);
  const inAll = compared.length === 1 ? "the only setting" : `all ${compared.length} settings`;
  if (!led.length) {
    const level = distinct(compared.map(({ leader, ties }) => joined([leader, ...ties].map(labelOf))));
    return `${title}: no method leads: ${level.length === 1 ? level[0] : "the best methods"} are level in ${inAll}.`;
  }
  const wins = groupBy(led, ({ leader }) => labelOf(leader));
  const most = Math.max(...[...wins.values()].map((own) => own.length));
  const labels = [...wins.keys()].filter((label) => wins.get(label).length === most);
  const own = labels.flatMap((label) => wins.get(label));
  const where = compared.length === 1 ? "the only setting" : `${most} of ${compared.length} settings`;
  const clear = own.filter(({ next }) => next.lead.verdict === "better").length;
  const dagger = own.every(({ next }) => next.lead.images) ? "†" : "";
  const within = labels.length > 1 ? "within noise" : "its lead over the next method is within noise";
  const noise = clear === 0 ? `${within}${own.length > 1 ? " in all of them" : ""}` : clear === own.length ? "beyond noise" : `beyond noise in ${clear}`;
  const ties = led.length < compared.length ? `; the best methods are level in ${compared.length - led.length}` : "";
  if (labels.length > 1) return `${title}: ${joined(labels)} lead in ${where} each, ${noise}${dagger}${ties}.`;
  const untrained = verdicts(own.map(({ leader }) => leader), protocol);
  const against = untrained.length ? `; it ${againstUntrained(untrained)}` : "";
  return `${title}: ${labels[0]} leads in ${where}, ${noise}${dagger}${ties}${against}.`;
}

function element(name, className, ...children) {
  const made = document.createElement(name);
  if (className) made.className = className;
  made.append(...children);
  return made;
}

function writeHeadline() {
  const sentences = Object.entries(DATA.protocols).map(([protocol, title]) => sentence(protocol, title)).filter(Boolean);
  // Protocols without two comparable methods first, as in the report that was written.
  sentences.sort((a, b) => b.includes(": pre-training ") - a.includes(": pre-training "));
  document.getElementById("headline").replaceChildren(...sentences.map((text) => element("p", "answer", text)));
}

// A line of a card; as it was written if no method of its setting is hidden.
function writeLeader(line) {
  line.written ??= [...line.childNodes];
  const ranking = DATA.rankings[line.dataset.ranking];
  const { protocol, order, leader, next, ties } = compareShown(ranking);
  line.hidden = !order.length;
  if (order.length === ranking.order.length && baselineShown(leader)) return line.replaceChildren(...line.written);
  if (!order.length) return;
  const name = element("strong", "", element("i"), labelOf(leader));
  name.firstChild.dataset.color = labelOf(leader);
  const parts = [element("span", "protocol", DATA.protocols[protocol]), name, element("span", "", DATA.conditions[leader].texts[protocol])];
  const tag = (kind, text) => element("span", `verdict ${kind}`, text);
  if (ties.length) parts.push(element("span", "lead", tag("noise", "tie"), ` level with ${ties.map(labelOf).join(", ")}`));
  else if (next) {
    const good = next.lead.verdict === "better" && !DATA.conditions[leader].below.includes(protocol);
    const text = next.lead.verdict === "better" ? "not noise" : "within noise";
    parts.push(element("span", "lead", tag(good ? "better" : "noise", text), ` ${next.lead.points} over ${labelOf(next.row)}`));
  }
  line.replaceChildren(...parts);
}

function writeAnswer() {
  writeHeadline();
  all(".leader").forEach(writeLeader);
  for (const card of all(".card")) card.hidden ||= all(".leader", card).every((leader) => leader.hidden);
  const note = document.getElementById("hidden-best");
  if (note) note.hidden = !hidden.method?.size || !all(".comparison .verdict").length;
}
