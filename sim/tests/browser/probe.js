// Asks the browser about the page; its value is a promise of the answers.
(async () => {
  const turn = () => new Promise((done) => setTimeout(done, 50));
  await turn();
  const box = (element) => element.getBoundingClientRect();
  const hash = (element) => element?.hash ?? null;
  const open = () => [...document.querySelectorAll(".story")].find((story) => getComputedStyle(story).display !== "none");
  const found = { mistakes: window.mistakes, width: innerWidth, dark: matchMedia("(prefers-color-scheme: dark)").matches };
  found.overflow = document.documentElement.scrollWidth;
  const scroller = document.querySelector(".matrix")?.getBoundingClientRect();
  const head = document.querySelector(".matrix thead")?.getBoundingClientRect();
  const names = document.querySelector(".matrix tbody th")?.getBoundingClientRect();
  found.halves = [...document.querySelectorAll(".pill > span")].slice(0, 600).map((half) => {
    const { x, y, right, bottom } = box(half);
    const visible = !open() && x >= names.right && right <= scroller.right - 2 && y >= head.bottom && bottom <= Math.min(scroller.bottom - 2, innerHeight);
    return { grade: half.className, x, y, visible };
  });
  const story = open();
  found.story_overflow = story?.scrollWidth ?? 0;
  found.story_text = story?.textContent ?? "";

  // Labels of the picture that cover one another.
  const texts = [...(story?.querySelectorAll("svg text") ?? [])].filter((text) => text.textContent.trim());
  found.crossed = [];
  texts.forEach((one, index) => texts.slice(index + 1).forEach((other) => {
    const [a, b] = [box(one), box(other)];
    const across = Math.min(a.right, b.right) - Math.max(a.left, b.left);
    const down = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
    if (across > 2 && down > 4) found.crossed.push([one.textContent, other.textContent]);
  }));

  // Labels that the picture's edge cuts.
  found.cut = texts
    .filter((text) => box(text).right > box(text.ownerSVGElement).right + 1 || box(text).left < box(text.ownerSVGElement).left - 1)
    .map((text) => text.textContent);

  // Text whose contrast with what is behind it is under 4.5 (WCAG 2.2, 1.4.3).
  const rgb = (color) => color.match(/[\d.]+/g)?.map(Number) ?? [0, 0, 0, 0];
  const light = ([r, g, b]) => {
    const [R, G, B] = [r, g, b].map((part) => part / 255).map((part) => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
    return 0.2126 * R + 0.7152 * G + 0.0722 * B;
  };
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const color = rgb(getComputedStyle(at).backgroundColor);
      if (color.length === 3 || color[3] > 0.5) return color;
    }
    return [255, 255, 255];
  };
  const unreadable = new Set();
  for (const element of document.querySelectorAll("body *")) {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    if (!own || element.closest("script, style") || !element.checkVisibility()) continue;
    const style = getComputedStyle(element);
    const ink = rgb(element.closest("svg") ? style.fill : style.color);
    let ground = behind(element);
    const bar = element.closest(".phase")?.querySelector("rect");
    if (bar) ground = rgb(getComputedStyle(bar).fill);
    const [a, b] = [light(ink), light(ground)].sort((one, other) => other - one);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < 4.5) unreadable.add(`${element.tagName}.${element.getAttribute("class") ?? ""}: ${ratio.toFixed(2)} ${element.textContent.slice(0, 30)}`);
  }
  found.unreadable = [...unreadable].slice(0, 20);

  // Everything that takes focus has a name.
  found.nameless = [...document.querySelectorAll("a[href], [tabindex='0']")]
    .filter((stop) => !stop.getAttribute("aria-label") && !stop.textContent.trim())
    .map((stop) => stop.outerHTML.slice(0, 80));

  const cells = [...document.querySelectorAll("a.pill")];
  found.cells = cells.slice(0, 400).map((cell) => decodeURIComponent(cell.hash));
  found.columns = document.querySelectorAll(".matrix thead th").length - 1;
  if (cells.length > 1 && !story) {
    const keys = (found.keys = {});
    const press = (key, extra = {}) => document.activeElement.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true, ...extra }));
    const focused = () => decodeURIComponent(hash(document.activeElement) ?? "");
    keys.stops = cells.filter((cell) => cell.tabIndex === 0).length;
    cells[0].focus({ focusVisible: true });
    keys.ring = parseFloat(getComputedStyle(cells[0]).outlineWidth);
    for (const [name, key] of [["right", "ArrowRight"], ["down", "ArrowDown"], ["end", "End"], ["home", "Home"], ["up", "ArrowUp"], ["beyond", "ArrowLeft"]]) {
      press(key);
      keys[name] = focused();
    }
    press("Enter");
    await turn();
    keys.opened = "#" + (open()?.id ?? "");
    keys.inside = open()?.contains(document.activeElement) ?? false;
    keys.inert = document.getElementById("matrix").inert;
    const stops = [...open().querySelectorAll("a[href], [tabindex='0']")];
    stops[stops.length - 1].focus();
    press("Tab");
    const first = document.activeElement === stops[0];
    press("Tab", { shiftKey: true });
    keys.wrapped = first && document.activeElement === stops[stops.length - 1];
    press("Escape");
    await turn();
    keys.closed = !open();
    keys.back = focused();
    keys.inert_after = document.getElementById("matrix").inert;
  }
  return found;
})()
