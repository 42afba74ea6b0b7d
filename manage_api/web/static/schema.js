// Without `validatorUrl: null` Swagger UI would send the description to a host of its makers.
SwaggerUIBundle({
  dom_id: "#schema",
  url: "/schema/openapi.json",
  deepLinking: true,
  docExpansion: "none",
  operationsSorter: "alpha",
  tagsSorter: "alpha",
  validatorUrl: null,
});
