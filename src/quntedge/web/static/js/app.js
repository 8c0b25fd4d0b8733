// Small improvements over pages that already work without any of this.
(() => {
  // Controls that only make sense with JavaScript are delivered hidden.
  for (const control of document.querySelectorAll("[data-needs-js]")) control.hidden = false;

  // A refused form: put the reader at the list of what to mend.
  document.querySelector("[data-error-summary]")?.focus();

  document.addEventListener("click", (event) => {
    const toggle = event.target.closest("[data-password-toggle]");
    if (toggle) {
      const input = document.getElementById(toggle.dataset.passwordToggle);
      const reveal = input.type === "password";
      input.type = reveal ? "text" : "password";
      toggle.firstElementChild.textContent = reveal ? toggle.dataset.hide : toggle.dataset.show;
    }
    for (const menu of document.querySelectorAll("details[data-menu][open]")) {
      if (!menu.contains(event.target)) menu.open = false;
    }
  });

  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    for (const menu of document.querySelectorAll("details[data-menu][open]")) {
      menu.open = false;
      menu.querySelector("summary").focus();
    }
  });

  // A double click should not look like two orders. The server refuses the second one anyway (attempt token).
  document.addEventListener("submit", (event) => {
    const button = event.submitter ?? event.target.querySelector("[type=submit]");
    if (button?.getAttribute("aria-busy") === "true") event.preventDefault();
    else button?.setAttribute("aria-busy", "true");
  });
  window.addEventListener("pageshow", () => {
    for (const button of document.querySelectorAll("[aria-busy=true]")) button.removeAttribute("aria-busy");
  });

  // A polled part names its version. While that has not changed a swap would only make screen readers repeat themselves,
  // lists lose their scroll position and the spinner jump.
  document.addEventListener("htmx:beforeSwap", (event) => {
    const shown = event.detail.target.dataset.version;
    if (shown !== undefined && event.detail.serverResponse.includes(`data-version="${shown}"`)) event.detail.shouldSwap = false;
  });
})();
