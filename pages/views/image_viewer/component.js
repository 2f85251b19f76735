/* What Streamlit calls whenever there is something new: a viewer, or the channel beside it that asks for more pixels. */

export default function ({ data, parentElement, setTriggerValue }) {
  const message = unpack(data);
  if (message.role === "detail") {
    const waited = !VIEWERS.tell.has(message.id) && VIEWERS.regions.get(message.id);
    VIEWERS.tell.set(message.id, setTriggerValue);
    if (message.before) VIEWERS.all.get(message.id)?.takeDetail(message);
    else if (waited) VIEWERS.all.get(message.id)?.askForDetail();
    return () => { if (VIEWERS.tell.get(message.id) === setTriggerValue) VIEWERS.tell.delete(message.id); };
  }
  let root = parentElement.querySelector(".iv");
  if (!root) {
    root = document.createElement("div");
    root.className = "iv";
    parentElement.appendChild(root);
    root.viewer = new ImageViewer(root);
  }
  VIEWERS.all.set(message.id, root.viewer);
  const owner = (root.viewer.owner = {}); // Streamlit may clean up after a call only once the next one is made
  root.viewer.show(message);
  return () => { if (root.viewer.owner === owner) root.viewer.leave(); };
}
