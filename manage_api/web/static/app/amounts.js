// Numbers as people write them: amounts.whole("1,500") is 1500, amounts.dollars("1,5") is 1500000 (millionths).
//
// A text is read in every way in which people write numbers. It is taken when they agree; when two don't (1,500 is
// 1500 in English and 1.5 in German) or none fits, amounts.Misread is thrown, with a sentence for the person.

const WAYS = [
  [",", "\\."], // 1,234.5
  ["\\.", ","], // 1.234,5
  ["[\\s'’_]", "[.,]"], // 1 234,5 and 1'234.5
].map(
  // Thousands never follow a leading zero, so 0,500 is a half.
  ([between, mark]) => new RegExp(`^(\\d+|[1-9]\\d{0,2}(?:(${between})\\d{3})(?:\\2\\d{3})*)?(?:${mark}(\\d+))?$`),
);
const CURRENCY = /^(?:(?:US)?\$|USD)\s*|\s*(?:\$|USD)$/gi;
const DECIMALS = 6; // money is whole millionths of a dollar

class Misread extends Error {}

// Every [whole, fraction] that the text can be; the fraction is null without a mark.
function readings(text) {
  return WAYS.map((way) => text.match(way))
    .filter((match) => match && (match[1] || match[3]))
    .map(([, whole = "0", , fraction]) => [whole.replace(/\D/g, "").replace(/^0+(?=\d)/, ""), fraction?.replace(/0+$/, "") ?? null]);
}

// The number in the one spelling that can't be misread: 1.125 would be, 1.1250 is not.
function spelled([whole, fraction]) {
  if (!fraction) return whole;
  return `${whole}.${fraction.length === 3 ? `${fraction}0` : fraction}`;
}

function safe(digits) {
  const number = Number(digits);
  if (number > Number.MAX_SAFE_INTEGER) throw new Misread("This number is too large.");
  return number;
}

// The whole number that the text is: with a decimal mark it is none, so 1,500 and 1.500 have one reading here.
function whole(text) {
  const found = new Set(readings(text).filter(([, fraction]) => fraction === null).map(([digits]) => digits));
  if (found.size !== 1) throw new Misread("Enter a whole number in digits, like 1500.");
  return safe([...found][0]);
}

// Millionths of a US dollar.
function dollars(text) {
  const found = new Map(readings(text.replace(CURRENCY, "")).map((reading) => [spelled(reading), reading]));
  if (!found.size) throw new Misread("Enter an amount in US dollars in digits, like 1500 or 1.50.");
  if (found.size > 1) throw new Misread(`“${text}” can be read as ${[...found.keys()].join(" or as ")}: write one of these.`);
  const [[digits, fraction]] = found.values();
  if ((fraction ?? "").length > DECIMALS) throw new Misread(`Enter at most ${DECIMALS} digits after the decimal mark.`);
  return safe(digits + (fraction ?? "").padEnd(DECIMALS, "0"));
}

globalThis.amounts = { Misread, dollars, whole };
