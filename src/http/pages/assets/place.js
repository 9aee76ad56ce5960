// Where a seal goes on the picture of a page: by click, by arrow key, in mm. The agent's own pages and the demo site both use it.

/** What an arrow key moves the seal by, in mm; with Shift ten times as much. */
const STEP = 1;

/** The place, in mm from the page's top left corner and to a tenth of one, at which the seal is whole on the page. */
export function within({ x, y }, page, seal) {
  const limit = (value, most) => Math.round(10 * Math.min(Math.max(0, value), Math.max(0, most))) / 10;
  return { x: limit(x, page.widthMm - seal.widthMm), y: limit(y, page.heightMm - seal.heightMm) };
}

/** The place whose middle was clicked on the picture that fills `element`; `undefined` while it is not drawn. */
export function clicked(event, element, page, seal) {
  const frame = element.getBoundingClientRect();
  if (!frame.width) return undefined;
  const at = (value, whole, mm) => (value / whole) * mm;
  return {
    x: at(event.clientX - frame.left, frame.width, page.widthMm) - seal.widthMm / 2,
    y: at(event.clientY - frame.top, frame.height, page.heightMm) - seal.heightMm / 2,
  };
}

/** The place that an arrow key moves this one to; `undefined` for any other key. */
export function moved(event, { x, y }) {
  const by = STEP * (event.shiftKey ? 10 : 1);
  const [dx, dy] = { ArrowLeft: [-by, 0], ArrowRight: [by, 0], ArrowUp: [0, -by], ArrowDown: [0, by] }[event.key] ?? [];
  return dx === undefined ? undefined : { x: x + dx, y: y + dy };
}

/** Lays an element over the picture of a page. */
export function lay(element, { x, y, width, height }, page) {
  const parts = { left: x / page.widthMm, top: y / page.heightMm, width: width / page.widthMm, height: height / page.heightMm };
  for (const [name, part] of Object.entries(parts)) element.style.setProperty(name, `${100 * part}%`);
}

/** The largest rectangle of the seal's proportion in the middle of a field, as it will be drawn. */
export function inside(field, seal) {
  const width = Math.min(field.width, (field.height * seal.widthMm) / seal.heightMm);
  const height = Math.min(field.height, (field.width * seal.heightMm) / seal.widthMm);
  return { x: field.x + (field.width - width) / 2, y: field.y + (field.height - height) / 2, width, height };
}

/** A stamp at a keyword: the middle of the seal's left edge comes to its first character, as people stamp over a line. */
export const atKeyword = (text, seal) => ({ kind: 'keyword', text, dx: 0, dy: 2 - seal.heightMm / 2 });
