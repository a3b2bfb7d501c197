// What a page in plain JavaScript would need to show the console's first screen.
const byId = (id) => document.getElementById(id);
document.body.dataset.state = "ready";
byId("status").dataset.level = "idle";
byId("headline").textContent = "Ready to connect";
byId("detail").textContent = "Give the other side the link, then press Connect.";
byId("session").value = "calm-harbor-otter";
byId("link").value = `${location.origin}/?session=${byId("session").value}`;
byId("boot-progress").value = 1;
byId("join").addEventListener("submit", (event) => event.preventDefault());
performance.mark("console-ready");
