// A grid of pictures. The grid stays while its pictures change, so that the focus is kept.
export default function ({ data, parentElement, setTriggerValue }) {
  let grid = parentElement.querySelector(".picture-grid");
  if (!grid) {
    grid = document.createElement("div");
    grid.className = "picture-grid";
    grid.setAttribute("role", "group");
    grid.setAttribute("aria-label", "Pictures of galaxies; arrow keys move, Enter opens");
    parentElement.appendChild(grid);
  }
  grid.onclick = (event) => {
    const button = event.target.closest("button");
    if (button) setTriggerValue("open", { row: Number(button.dataset.row) });
  };
  grid.onkeydown = (event) => moveFocus(grid, event);
  const shown = JSON.stringify(data.items.map((item) => [item.row, item.id, item.caption, item.src.slice(-24)]));
  if (grid.dataset.shown === shown) return; // drawn again for another reason: keep focus and decoded pictures
  grid.dataset.shown = shown;
  grid.replaceChildren(...data.items.map(picture));
}

function picture(item, place) {
  const button = document.createElement("button");
  button.type = "button";
  button.dataset.row = item.row;
  button.tabIndex = place === 0 ? 0 : -1; // one stop of the Tab key for all; arrows go on from there
  button.title = item.id;
  if (item.src) {
    const image = document.createElement("img");
    image.loading = "lazy";
    image.decoding = "async";
    image.alt = `galaxy ${item.id}`;
    image.src = item.src;
    button.append(image);
  } else {
    const nothing = document.createElement("span");
    nothing.className = "no-picture";
    nothing.textContent = `${item.id} (no picture)`;
    button.append(nothing);
  }
  if (item.caption) {
    const caption = document.createElement("span");
    caption.textContent = item.caption;
    button.append(caption);
  }
  return button;
}

function moveFocus(grid, event) {
  const buttons = [...grid.children];
  const place = buttons.indexOf(document.activeElement);
  const columns = Math.max(1, buttons.filter((button) => button.offsetTop === buttons[0]?.offsetTop).length);
  const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns };
  const target =
    event.key === "Home" ? 0 : event.key === "End" ? buttons.length - 1 : place + (steps[event.key] ?? NaN);
  if (place < 0 || !buttons[target]) return;
  event.preventDefault();
  buttons[place].tabIndex = -1;
  buttons[target].tabIndex = 0;
  buttons[target].focus();
}
