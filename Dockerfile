FROM node:22-slim AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci --include=dev --no-audit --no-fund
COPY scripts scripts
COPY src src
COPY tsconfig.json tsconfig.build.json ./
RUN node scripts/build.mjs && npm prune --omit=dev

FROM node:22-slim
# The demo is for whoever sits at its files; here they lie in a volume.
ENV NODE_ENV=production HOST=0.0.0.0 PORT=8080 DEMO=0
WORKDIR /app
COPY --from=build /app/package.json ./
COPY --from=build /app/node_modules node_modules
COPY --from=build /app/dist dist
RUN ln -s /app/dist/cli/latchkey.js /usr/local/bin/latchkey && mkdir data && chown 1000:1000 data
# By number: Kubernetes has to see that it is not root.
USER 1000:1000
VOLUME /app/data
EXPOSE 8080
HEALTHCHECK CMD ["node", "-e", "fetch('http://127.0.0.1:' + (process.env.PORT?.trim() || 8080) + '/readyz').then(r => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
CMD ["node", "dist/server.js"]
