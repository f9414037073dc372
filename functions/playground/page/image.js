import { $ } from "./document.js";

const LIMIT_BYTES = 4 * 1024 * 1024; // Lambda takes 6 MB, and base64 makes a third more of it
const KINDS = ["image/png", "image/jpeg", "image/webp", "image/gif"];
const OPEN = "PNG, JPEG, WebP or GIF, up to 4 MB.";

/** Reads the chosen file into the preview, or says why it cannot be sent. */
export async function readFile() {
  const [file] = $("image-file").files;
  const wrong = file && unfit(file);
  const url = file && !wrong ? await dataUrl(file) : "";
  const preview = $("image-preview");
  preview.dataset.url = url;
  preview.hidden = !url;
  if (url) preview.src = url;
  if (wrong) $("image-file").value = "";
  $("image-state").textContent = wrong || (url ? `${file.name}, ${kilobytes(file)}` : OPEN);
}

function unfit(file) {
  if (!KINDS.includes(file.type)) return `${file.name} is no PNG, JPEG, WebP or GIF. Convert it.`;
  if (file.size > LIMIT_BYTES)
    return `${file.name} has ${kilobytes(file)}; 4 MB fit in a request. Shrink it, or give its URL.`;
  return "";
}

function dataUrl(file) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result);
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(file);
  });
}

const kilobytes = ({ size }) => `${Math.ceil(size / 1024).toLocaleString("en")} KB`;
