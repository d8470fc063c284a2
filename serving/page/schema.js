// The model's input schema as a list of fields. Knows JSON Schema as Cog writes it; knows no element and no value.

/**
 * The inputs in the order of the schema, each {name, kind, label, description, minimum, maximum, step, fallback,
 * nullable, choices}. kind is script (the text to speak, or what to make in words), voice (the first file), transcript
 * (its words), link (a further file), number, choice, switch or line. `fallback` is the schema's default. Limits that
 * the schema does not set are undefined.
 */
export function fieldsOf(model) {
  const { schemas } = model.latest_version.openapi_schema.components;
  const { properties } = schemas.Input;
  const inputs = Object.entries(properties).map(([name, property]) => [name, resolve(property, schemas)]);
  inputs.sort(([, a], [, b]) => (a["x-order"] ?? 0) - (b["x-order"] ?? 0));
  const voice = inputs.find(([, property]) => property.format === "uri")?.[0];
  const script = inputs.find(([, { type, format, enum: choices }]) => type === "string" && !format && !choices)?.[0];
  return inputs.map(([name, property]) => {
    const kind = name === script ? "script" : name === voice ? "voice" : kindOf(name, property, voice);
    return { kind, ...fieldOf(name, property) };
  });
}

/** A property with what it refers to, as Cog refers to an enumeration. */
function resolve(property, schemas) {
  const parts = (property.allOf ?? []).map(({ $ref }) => schemas[$ref.split("/").at(-1)]);
  return Object.assign({}, ...parts, property);
}

function kindOf(name, property, voice) {
  if (voice && name === `${voice}_text`) return "transcript";
  if (property.enum) return "choice";
  if (property.type === "boolean") return "switch";
  if (property.format === "uri") return "link";
  return property.type === "number" || property.type === "integer" ? "number" : "line";
}

function fieldOf(name, property) {
  const { minimum, maximum } = property;
  const words = name.replaceAll("_", " ");
  return {
    name,
    label: words[0].toUpperCase() + words.slice(1),
    description: property.description ?? "",
    minimum,
    maximum,
    step: stepOf(property),
    fallback: property.default ?? null,
    nullable: Boolean(property.nullable),
    choices: property.enum ?? [],
  };
}

/** A power of ten that cuts the range into about a hundred steps, one of which is the default. */
function stepOf({ type, minimum, maximum, default: fallback }) {
  if (type !== "number" || minimum === undefined || maximum === undefined) return 1;
  let digits = Math.max(0, -Math.ceil(Math.log10((maximum - minimum) / 100)));
  const onGrid = (value) => Math.abs(value * 10 ** digits - Math.round(value * 10 ** digits)) < 1e-9;
  while (digits < 6 && !onGrid((fallback ?? minimum) - minimum)) digits += 1;
  return Number((10 ** -digits).toFixed(digits));
}
