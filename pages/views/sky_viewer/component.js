/* What Streamlit calls whenever there is something new: the frame, more of its pixels, or what is marked on it. */

export default function ({ data, parentElement, setTriggerValue }) {
  const message = unpack(data), { id, role } = message;
  if (role === "detail") {
    const waited = !VIEWERS.tell.has(id) && VIEWERS.regions.get(id);
    VIEWERS.tell.set(id, setTriggerValue);
    if (message.before) VIEWERS.all.get(id)?.takeDetail(message);
    else if (waited) VIEWERS.all.get(id)?.askForDetail();
    return () => { if (VIEWERS.tell.get(id) === setTriggerValue) VIEWERS.tell.delete(id); };
  }
  if (role === "marks") {
    const channel = SKY.channels.get(id) ?? {}, waited = !channel.tell;
    SKY.channels.set(id, channel);
    channel.tell = setTriggerValue;
    channel.events = (channel.events ?? []).filter((event) => event.number > message.seen);
    SKY.marks.set(id, message);
    VIEWERS.all.get(id)?.objects?.takeMarks(message);
    if (waited && channel.events.length) channel.tell("events", channel.events);
    return () => { if (channel.tell === setTriggerValue) channel.tell = undefined; };
  }
  let root = parentElement.querySelector(".iv");
  const fresh = !root;
  if (fresh) {
    root = document.createElement("div");
    root.className = "iv";
    root.dataset.single = "";
    parentElement.appendChild(root);
    root.viewer = new ImageViewer(root);
    root.viewer.objects = new SkyObjects(root.viewer);
  }
  VIEWERS.all.set(id, root.viewer);
  const marks = SKY.marks.get(id);
  root.viewer.objects.marks = marks?.stamp === message.objects_stamp ? marks : null;
  const owner = (root.viewer.owner = {}); // Streamlit may clean up after a call only once the next one is made
  root.viewer.show(message);
  // while a frame is searched anew its viewer is gone from the page: the next one looks where it looked
  const kept = SKY.views.get(id);
  if (fresh && kept?.stamp === message.stamp) {
    Object.assign(root.viewer.view, kept.view);
    root.viewer.redraw();
    root.viewer.askForDetail();
  }
  return () => {
    if (root.viewer.owner !== owner) return;
    SKY.views.set(id, { stamp: message.stamp, view: { ...root.viewer.view } });
    root.viewer.leave();
  };
}
