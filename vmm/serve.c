/* SPDX-License-Identifier: MIT */
/* vmm/serve.c - from a configuration to a server: the rest is in ivshmem/service.c */
#include <errno.h>
#include <stddef.h>
#include <unistd.h>

#include <belfry-server.h>

#include "vmm/config.h"

/* Return: the server's section; NULL, with @err set. */
static const struct bf_service_conf *find(const struct belfry_config *cfg,
					  const char *name, struct belfry_error *err)
{
	const struct bf_service_conf *conf = bf_config_server(cfg, name);

	if (!conf) {
		bf_err(err, ENOENT, "servers.%s: there is no such server", name);
		return NULL;
	}
	return belfry_config_validate(cfg, err) < 0 ? NULL : conf;
}

int belfry_server_resume(const struct belfry_config *cfg, const char *name,
			 const struct belfry_named_fd *fds, unsigned int n,
			 struct belfry_server **out, struct belfry_error *err)
{
	struct belfry_error why = { .code = -EINVAL, .msg = "NULL argument" };
	const struct bf_service_conf *conf = NULL;
	int r;

	if (cfg && name && out && (fds || n == 0))
		conf = find(cfg, name, &why);
	r = conf ? bf_service_create(conf, &cfg->log, fds, n, out, err)
		 : bf_err(err, -why.code, "%s", why.msg);
	for (unsigned int i = 0; fds && i < n; i++)
		close(fds[i].fd);
	return r;
}

int belfry_server_create(const struct belfry_config *cfg, const char *name,
			 struct belfry_server **out, struct belfry_error *err)
{
	return belfry_server_resume(cfg, name, NULL, 0, out, err);
}

int belfry_server_reload(struct belfry_server *server, const struct belfry_config *cfg,
			 const char *name, struct belfry_error *err)
{
	struct belfry_error why = { .code = -EINVAL, .msg = "NULL argument" };
	const struct bf_service_conf *conf = NULL;

	if (server && cfg && name)
		conf = find(cfg, name, &why);
	return conf ? bf_service_reload(server, conf, err)
		    : bf_err(err, -why.code, "%s", why.msg);
}
