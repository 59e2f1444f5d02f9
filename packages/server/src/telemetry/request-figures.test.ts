import { expect, test } from "vitest";
import { RequestFigures } from "./request-figures.ts";

test("requests are counted by method, route and status, and by how long they took", () => {
  const figures = new RequestFigures();
  for (let count = 0; count < 5; count += 1) figures.began();
  figures.ended("GET", "/a/:id", 200, 0.001);
  figures.ended("GET", "/a/:id", 200, 0.002);
  figures.ended("GET", "/a/:id", 404, 0);
  figures.ended("POST", "/a/:id", 200, 61);
  const lines = figures.text().split("\n");
  const labels = 'method="GET",route="/a/:id",status="200"';
  expect(lines).toEqual(
    expect.arrayContaining([
      "# TYPE raworc_http_requests_total counter",
      `raworc_http_requests_total{${labels}} 2`,
      'raworc_http_requests_total{method="GET",route="/a/:id",status="404"} 1',
      "# TYPE raworc_http_request_duration_seconds histogram",
      `raworc_http_request_duration_seconds_bucket{le="0.001",${labels}} 1`,
      `raworc_http_request_duration_seconds_bucket{le="0.0025",${labels}} 2`,
      `raworc_http_request_duration_seconds_bucket{le="+Inf",${labels}} 2`,
      `raworc_http_request_duration_seconds_sum{${labels}} 0.003`,
      `raworc_http_request_duration_seconds_count{${labels}} 2`,
      'raworc_http_request_duration_seconds_bucket{le="60",method="POST",route="/a/:id",status="200"} 0',
      'raworc_http_request_duration_seconds_bucket{le="+Inf",method="POST",route="/a/:id",status="200"} 1',
      "# TYPE raworc_http_requests_in_flight gauge",
      "raworc_http_requests_in_flight 1",
    ]),
  );
  expect(figures.text().endsWith("\n")).toBe(true);
});
