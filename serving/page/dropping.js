// Files that are dragged onto a place of the page. Dropped elsewhere they are refused: the browser would leave the page
// for them. Knows no upload.

/** taken(files) hears of each drop on `place`, which has data-dropping while files are over it. */
export function takeDrops(place, taken) {
  const mark = (here) => place.toggleAttribute("data-dropping", here);
  document.addEventListener("dragover", (event) => {
    if (!carriesFiles(event)) return; // words are dropped into the script as ever
    event.preventDefault();
    const here = place.contains(event.target);
    event.dataTransfer.dropEffect = here ? "copy" : "none";
    mark(here);
  });
  document.addEventListener("dragleave", (event) => event.relatedTarget || mark(false)); // out of the window
  document.addEventListener("drop", (event) => {
    if (!carriesFiles(event)) return;
    event.preventDefault();
    mark(false);
    if (place.contains(event.target)) taken([...event.dataTransfer.files]);
  });
}

function carriesFiles({ dataTransfer }) {
  return Boolean(dataTransfer?.types.includes("Files"));
}
