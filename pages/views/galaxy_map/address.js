/* What an address says of the maps; `addressNow` is that of the page in the app, and that which a file was saved with. */

/** Parts of the address: what is on the screen of a map, with a mark of the map, and what its legend hides. */
const IN_ADDRESS = { "map-0": ["view", "hidden"], "map-1": ["view2", "hidden2"] };

function partOfAddress(map, k) {
  return (IN_ADDRESS[map] && new URLSearchParams(addressNow()).get(IN_ADDRESS[map][k])) || "";
}

/** Nothing where the address is of another map. */
function placeInAddress({ message: { id, mark } }) {
  const text = partOfAddress(id, 0);
  return text.endsWith(`_${mark}`) ? text.slice(0, -mark.length - 1) : "";
}

/** Whether the address is of another catalog than a map. */
function isElsewhere({ group }) {
  const catalog = new URLSearchParams(addressNow()).get("catalog");
  return catalog !== null && catalog !== group;
}

/** Groups are hidden by their marks, for their places change: tags' do with every use. Older links have the places, and one
    mark of them all. */
function hiddenInAddress({ id, marks, groups, colours }) {
  const [asked, older] = partOfAddress(id, 1).split("_"), first = colours.length - marks.length; // of numbers, only the last
  const placeOf = (part) => (older === undefined ? marks.indexOf(part) + first : older === groups ? Number(part) : -1);
  return new Set(asked.split("-").filter(Boolean).map(placeOf).filter((code) => code >= first && code < colours.length));
}
