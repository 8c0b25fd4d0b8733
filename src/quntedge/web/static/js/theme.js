// Runs before the first paint, so that a remembered theme never flashes. Without a remembered choice the stylesheet follows
// the system by itself; the attribute is set anyway so that the toggle knows what is on the screen.
(() => {
  const KEY = "quntedge-theme";
  const system = window.matchMedia("(prefers-color-scheme: dark)");
  const remembered = () => {
    try {
      return localStorage.getItem(KEY);
    } catch {
      return null; // storage is blocked: follow the system
    }
  };
  const show = (theme) => document.documentElement.setAttribute("data-theme", theme);
  const current = () => document.documentElement.getAttribute("data-theme");
  const follow = () => show(remembered() ?? (system.matches ? "quntedge-dark" : "quntedge"));

  follow();
  system.addEventListener("change", follow);

  document.addEventListener("click", (event) => {
    if (!event.target.closest("[data-theme-toggle]")) return;
    const next = current() === "quntedge-dark" ? "quntedge" : "quntedge-dark";
    show(next);
    try {
      localStorage.setItem(KEY, next);
    } catch {
      // storage is blocked: the choice lasts for this page
    }
  });
})();
