/* SPDX-License-Identifier: MIT */
/* vmm/serve.c - from a configuration to a server: the rest is in ivshmem/service.c */
#include <errno.h>
#include <stddef.h>
#include <unistd.h>

#include <belfry-server.h>

#include "vmm/config.h"

/* Set @out to the server's section. Return: 0; -ENOENT, or another mistake of @cfg. */
static int find(const struct belfry_config *cfg, const char *name,
		const struct bf_service_conf **out, struct belfry_error *err)
{
	*out = bf_config_server(cfg, name);
	if (!*out)
		return bf_err(err, ENOENT, "servers.%s: there is no such server", name);
	return belfry_config_validate(cfg, err);
}

static int create(const struct belfry_config *cfg, const char *name,
		  const struct belfry_named_fd *fds, unsigned int n,
		  struct belfry_server **out, struct belfry_error *err)
{
	const struct bf_service_conf *conf;
	int r = find(cfg, name, &conf, err);

	return r < 0 ? r : bf_service_create(conf, &cfg->log, fds, n, out, err);
}

int belfry_server_resume(const struct belfry_config *cfg, const char *name,
			 const struct belfry_named_fd *fds, unsigned int n,
			 struct belfry_server **out, struct belfry_error *err)
{
	int r;

	if (!cfg || !name || !out || (!fds && n > 0))
		r = bf_err_null(err, __func__);
	else
		r = create(cfg, name, fds, n, out, err);
	for (unsigned int i = 0; fds && i < n; i++)
		close(fds[i].fd);
	return r;
}

int belfry_server_create(const struct belfry_config *cfg, const char *name,
			 struct belfry_server **out, struct belfry_error *err)
{
	if (!cfg || !name || !out)
		return bf_err_null(err, __func__);
	return create(cfg, name, NULL, 0, out, err);
}

int belfry_server_reload(struct belfry_server *server, const struct belfry_config *cfg,
			 const char *name, struct belfry_error *err)
{
	const struct bf_service_conf *conf;
	int r;

	if (!server || !cfg || !name)
		return bf_err_null(err, __func__);
	r = find(cfg, name, &conf, err);
	return r < 0 ? r : bf_service_reload(server, conf, err);
}
