/* Mouse, fingers and keys on the panels. */

const PAN_STEP = 0.1, DIVIDER_STEP = 0.05, ZOOM_STEP = 1.4;

function placeIn(panel, event) {
  const box = panel.canvas.getBoundingClientRect(), ratio = panel.canvas.width / box.width;
  return [(event.clientX - box.left) * ratio, (event.clientY - box.top) * ratio];
}

function listenTo(viewer, panel) {
  const { canvas } = panel, fingers = new Map();
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    viewer.zoomBy(Math.exp(-Math.max(-120, Math.min(120, event.deltaY)) * 0.003), panel, ...placeIn(panel, event));
  }, { passive: false });
  canvas.addEventListener("pointerdown", (event) => {
    if (event.button > 0) return;
    canvas.focus({ preventScroll: true });
    canvas.setPointerCapture(event.pointerId);
    fingers.set(event.pointerId, placeIn(panel, event));
    viewer.objects?.press(panel, placeIn(panel, event), fingers.size, event.shiftKey);
    point(viewer, panel, event);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (viewer.objects?.drag(panel, placeIn(panel, event))) return point(viewer, panel, event);
    const before = fingers.get(event.pointerId), here = placeIn(panel, event);
    if (!before) return point(viewer, panel, event);
    const others = [...fingers].filter(([id]) => id !== event.pointerId).map(([, place]) => place);
    fingers.set(event.pointerId, here);
    const scale = viewer.scaleOf(panel), up = viewer.flip ? -1 : 1, share = 1 / (others.length + 1);
    const dx = ((here[0] - before[0]) * share) / scale, dy = (up * (here[1] - before[1]) * share) / scale;
    if (others.length) {
      const far = (place) => Math.hypot(place[0] - others[0][0], place[1] - others[0][1]);
      const middle = [(here[0] + others[0][0]) / 2, (here[1] + others[0][1]) / 2];
      viewer.zoomBy(Math.max(far(here), 1) / Math.max(far(before), 1), panel, ...middle);
    }
    viewer.panTo(viewer.view.x - dx, viewer.view.y - dy);
    point(viewer, panel, event);
  });
  for (const name of ["pointerup", "pointercancel"]) {
    canvas.addEventListener(name, (event) => {
      fingers.delete(event.pointerId);
      viewer.objects?.release(panel, placeIn(panel, event), name === "pointerup");
    });
  }
  canvas.addEventListener("pointerleave", (event) => {
    if (event.pointerType === "touch") return; // the value of the place that was touched stays
    viewer.pointer = viewer.over = null;
    viewer.readOut();
    viewer.redraw();
  });
  canvas.addEventListener("dblclick", () => viewer.reset());
  canvas.addEventListener("keydown", (event) => press(viewer, event));
}

function point(viewer, panel, event) {
  viewer.pointer = viewer.toImage(panel, ...placeIn(panel, event));
  viewer.over = event.pointerType === "touch" ? null : panel;
  viewer.readOut();
  viewer.redraw();
}

function press(viewer, event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const { view, message } = viewer, step = (PAN_STEP * Math.max(message.full_width, message.full_height)) / view.zoom;
  const up = viewer.flip ? -1 : 1;
  const actions = {
    "+": () => viewer.zoomBy(ZOOM_STEP),
    "=": () => viewer.zoomBy(ZOOM_STEP),
    "-": () => viewer.zoomBy(1 / ZOOM_STEP),
    0: () => viewer.reset(),
    ArrowLeft: () => viewer.panTo(view.x - step, view.y),
    ArrowRight: () => viewer.panTo(view.x + step, view.y),
    ArrowUp: () => viewer.panTo(view.x, view.y - up * step),
    ArrowDown: () => viewer.panTo(view.x, view.y + up * step),
    "[": () => viewer.moveDivider(viewer.divider - DIVIDER_STEP),
    "]": () => viewer.moveDivider(viewer.divider + DIVIDER_STEP),
    b: () => setMode(viewer, viewer.mode === "blink" ? "slider" : "blink"),
    i: () => { viewer.look.invert = !viewer.look.invert; viewer.restretch(); },
  };
  if (!actions[event.key]) return;
  event.preventDefault();
  event.stopPropagation();
  actions[event.key]();
}

/** The handle between before and after: dragged, or moved with the arrow keys. */
function listenToDivider(viewer, panel) {
  const { divider } = panel;
  const follow = (event) => viewer.moveDivider(placeIn(panel, event)[0] / panel.canvas.width);
  divider.addEventListener("pointerdown", (event) => {
    event.preventDefault();
    divider.focus({ preventScroll: true });
    divider.setPointerCapture(event.pointerId);
  });
  divider.addEventListener("pointermove", (event) => divider.hasPointerCapture(event.pointerId) && follow(event));
  divider.addEventListener("dblclick", () => viewer.moveDivider(0.5));
  divider.addEventListener("keydown", (event) => {
    const steps = { ArrowLeft: -DIVIDER_STEP, ArrowRight: DIVIDER_STEP, Home: -1, End: 1 };
    if (!(event.key in steps)) return press(viewer, event);
    event.preventDefault();
    event.stopPropagation();
    viewer.moveDivider(viewer.divider + steps[event.key]);
  });
}
