// What makes the pages smoother. All of them work without this file.
"use strict";

(() => {
  const root = document.documentElement;
  root.classList.add("scripted");

  const typing = (element) => element.closest("input, textarea, select, [contenteditable]") !== null;

  // Theme: shown at once; the form itself tells the server, which remembers it.

  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (!form.matches("[data-theme-form]") || !event.submitter) return;
    const theme = event.submitter.value;
    if (theme === "system") delete root.dataset.bsTheme;
    else root.dataset.bsTheme = theme;
    for (const button of form.querySelectorAll("button")) {
      button.setAttribute("aria-pressed", String(button.value === theme));
    }
  });

  // A form marked data-once is sent once, however often its button is pressed.

  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (!form.matches("[data-once]")) return;
    if (form.dataset.sent) {
      event.preventDefault();
      return;
    }
    form.dataset.sent = "yes";
    if (event.submitter) event.submitter.setAttribute("aria-busy", "true");
  });

  const release = (scope) => {
    for (const form of scope.querySelectorAll("form[data-sent]")) delete form.dataset.sent;
    for (const button of scope.querySelectorAll("[aria-busy]")) button.removeAttribute("aria-busy");
  };
  window.addEventListener("pageshow", () => release(document));
  document.addEventListener("htmx:finally:request", () => release(document));

  // After a swap: to the first field that was refused, or to what asks for attention.

  const attend = (scope) => {
    const wanted = scope.querySelector("[data-focus]") || scope.querySelector("[aria-invalid=true]");
    if (wanted) wanted.focus();
  };
  document.addEventListener("htmx:after:swap", (event) => {
    if (event.target instanceof Element) attend(event.target);
  });
  attend(document);

  // Filters apply as they change.

  document.addEventListener("change", (event) => {
    const form = event.target.closest("form[data-filter]");
    if (form && event.target.matches("select, input[type=date]")) form.requestSubmit();
  });

  // Copying.

  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    if (!button) return;
    await navigator.clipboard.writeText(button.dataset.copy);
    announce("Copied.");
  });

  const announce = (text) => {
    const region = document.getElementById("messages");
    if (!region) return;
    const line = document.createElement("p");
    line.className = "visually-hidden";
    line.textContent = text;
    region.append(line);
  };

  // Keys: / searches, ? helps, g and a letter go somewhere. None while typing or with a modifier.

  const help = document.getElementById("shortcuts");
  const showHelp = () => {
    if (help && !help.open) help.showModal();
  };
  let going = 0;

  const press = (key) => {
    if (Date.now() - going < 1500) {
      going = 0;
      const link = document.querySelector(`[data-key="${CSS.escape(key)}"]`);
      if (link) link.click();
      return link !== null;
    }
    if (key === "g") going = Date.now();
    else if (key === "?") showHelp();
    else if (key === "/") document.getElementById("search")?.focus();
    else return false;
    return true;
  };

  if (document.body.hasAttribute("data-shortcuts")) {
    document.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) return;
      if (press(event.key)) event.preventDefault();
    });
  }

  document.addEventListener("click", (event) => {
    if (!event.target.closest("[data-help]") || !help) return;
    event.preventDefault();
    document.getElementById("user-menu")?.hidePopover();
    showHelp();
  });

  // The week: arrows up and down and Enter move between rows; totals follow what is typed.

  const week = document.querySelector("[data-week]");
  const seconds = (text) => {
    const clean = text.trim().replace(",", ".");
    const clock = /^(\d{1,2}):([0-5]\d)$/.exec(clean);
    if (clock) return Number(clock[1]) * 3600 + Number(clock[2]) * 60;
    return /^\d*\.?\d+$/.test(clean) ? Math.round(Number(clean) * 3600) : 0;
  };
  const shown = (total) =>
    total % 60 === 0
      ? `${Math.floor(total / 3600)}:${String(Math.floor((total % 3600) / 60)).padStart(2, "0")}`
      : (total / 3600).toFixed(2);

  const cellSeconds = (cell) => {
    const input = cell.querySelector("input");
    return input ? seconds(input.value) : Number(cell.dataset.seconds || 0);
  };

  const sumUp = () => {
    const byDay = new Map();
    for (const row of week.querySelectorAll("tbody tr")) {
      let total = 0;
      for (const cell of row.querySelectorAll("[data-day]")) {
        total += cellSeconds(cell);
        byDay.set(cell.dataset.day, (byDay.get(cell.dataset.day) || 0) + cellSeconds(cell));
      }
      const place = row.querySelector("[data-row-total]");
      if (place) place.textContent = shown(total);
    }
    let all = 0;
    for (const place of week.querySelectorAll("[data-day-total]")) {
      const total = byDay.get(place.dataset.dayTotal) || 0;
      all += total;
      place.textContent = shown(total);
    }
    const place = week.querySelector("[data-week-total]");
    if (place) place.textContent = shown(all);
  };

  const move = (input, step) => {
    const day = input.closest("[data-day]").dataset.day;
    const column = [...week.querySelectorAll(`[data-day="${day}"] input`)];
    column[column.indexOf(input) + step]?.focus();
  };

  if (week) {
    week.addEventListener("input", sumUp);
    week.addEventListener("focusin", (event) => {
      if (event.target.matches("[data-day] > input")) event.target.select();
    });
    week.addEventListener("keydown", (event) => {
      if (!event.target.matches("[data-day] > input")) return;
      const step = { ArrowUp: -1, ArrowDown: 1, Enter: 1 }[event.key];
      if (!step) return;
      event.preventDefault();
      move(event.target, step);
    });
  }
})();
