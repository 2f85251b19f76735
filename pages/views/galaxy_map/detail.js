/* The part of a map that is on the screen: its points and pictures are asked for once the view has come to rest. */

const PICTURE_PX = 54, PICTURE_GAP = 4;

/** Put the part on the screen into the address, and ask for its points and pictures, after some milliseconds of rest. */
function askForDetail(map, wait) {
  clearTimeout(map.asking);
  map.asking = setTimeout(() => {
    if (!map.message || !map.sheet || !map.view) return;
    const address = keepInAddress(map);
    if (!address && !(map.message.sampled || HUB.pictures)) return;
    const shown = map.extentShown(), pad = map.message.sampled ? 0.25 : 0;
    const grow = (a, b) => [a - pad * (b - a), b + pad * (b - a)];
    const spacing = ((PICTURE_PX + PICTURE_GAP) * map.ratio) / map.view.scale;
    askForView(map, {
      map: map.message.id, extent: shown, covers: [...grow(shown[0], shown[1]), ...grow(shown[2], shown[3])],
      spacing, pictures: HUB.pictures, stamp: map.message.stamp, address,
    });
  }, wait);
}

/** The server's answer. */
function takeDetail(map, message) {
  if (message.stamp !== map.message.stamp) return;
  map.detail = { covers: message.covers, points: message.x ? readPoints(message) : null, density: null };
  if (message.density) map.detail.density = { density: message.density, bins: message.bins, extent: message.drawn };
  map.pictures = message.pictures;
  map.say(message.note);
  drawPictures(map);
  map.draw();
}

function drawPictures(map) {
  const box = map.find(".atlas-pictures");
  box.replaceChildren(...(HUB.pictures ? map.pictures || [] : []).map((picture) => {
    const button = document.createElement("button");
    button.className = "atlas-picture";
    button.title = picture.id;
    button.dataset.row = picture.row;
    button.innerHTML = picture.src ? `<img alt="galaxy ${escapeText(picture.id)}" src="${picture.src}">` : "";
    button.onclick = () => openGalaxy(map, picture.row, [picture.x, picture.y]);
    return button;
  }));
  placePictures(map);
}

function placePictures(map) {
  const buttons = map.find(".atlas-pictures").children;
  (map.pictures || []).forEach((picture, k) => {
    if (!buttons[k]) return;
    const [px, py] = map.toPaper(picture.x, picture.y);
    buttons[k].style.transform = `translate(${px / map.ratio - PICTURE_PX / 2}px, ${py / map.ratio - PICTURE_PX / 2}px)`;
  });
}
