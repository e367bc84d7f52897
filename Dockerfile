# syntax=docker/dockerfile:1
# One image for both programs, pushed under both names that Deployments and SlimeBoots use:
# docker build -t docker.io/slimeio/slime-boot:vVERSION -t docker.io/slimeio/slime-lazyload:vVERSION .

# Makes dist/slimeboot.mjs and dist/manager.mjs. The base brings npm; the Node that runs the build is the one in package-lock.json.
FROM node:24-trixie-slim AS build
WORKDIR /src
COPY package.json package-lock.json .npmrc ./
RUN npm ci
COPY . .
RUN node_modules/.bin/node tools/build.ts --bundle-only

# Node and nothing else: no shell, no package manager, not root (uid 65532).
FROM gcr.io/distroless/nodejs24-debian13:nonroot
LABEL org.opencontainers.image.title="slime-boot, slime-lazyload" \
      org.opencontainers.image.description="Installs Slime lazyload from one SlimeBoot resource, and is what it installs" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /src/LICENSE /LICENSE
# The operator.
COPY --from=build /src/dist/slimeboot.mjs /slimeboot.mjs
# The lazyload controller: the Deployment of a module asks for the command /manager.
COPY --from=build /src/lazyload/manager /manager
COPY --from=build /src/dist/manager.mjs /manager.mjs
USER 65532:65532
EXPOSE 8080 8081 8082
# Young objects get less room than V8 takes by itself: a start with ten thousand Services peaks at 190 MiB instead of 300, at the same speed.
ENV NODE_OPTIONS=--max-semi-space-size=8
# --expose-gc: memory is given back when all work is done (runtime/collect-at-rest.ts). The others: no threads and no middle compilers of
# V8's own, 10 to 20 MiB less; the operator waits for the API server, its CPU time stays the same (docs/performance.md).
ENTRYPOINT ["/nodejs/bin/node", "--expose-gc", "--single-threaded", "--no-maglev", "--no-sparkplug", "/slimeboot.mjs"]
CMD ["run"]
