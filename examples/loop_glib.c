/* SPDX-License-Identifier: MIT */
/*
 * examples/loop_glib.c - a virtual machine in GLib's main loop, beside signals
 *
 *	loop_glib KERNEL [COMMAND-LINE]
 *
 * Ctrl-C presses the guest's power button; a second one stops it.
 */
#include <glib-unix.h>
#include <signal.h>

#include "hosted.h"

struct app {
	struct hosted h;
	GMainLoop *loop;
};

static gboolean on_vm(gint fd, GIOCondition condition, gpointer user)
{
	struct app *app = user;

	hosted_process(&app->h);
	if (app->h.stopped)
		g_main_loop_quit(app->loop);
	return G_SOURCE_CONTINUE;
}

static gboolean on_signal(gpointer user)
{
	struct app *app = user;

	hosted_end(&app->h);
	return G_SOURCE_CONTINUE;
}

int main(int argc, char **argv)
{
	struct app app = { .loop = g_main_loop_new(NULL, FALSE) };
	guint sources[3];

	hosted_start(&app.h, argc, argv);
	sources[0] = g_unix_fd_add(belfry_vm_fd(app.h.vm), G_IO_IN, on_vm, &app);
	sources[1] = g_unix_signal_add(SIGINT, on_signal, &app);
	sources[2] = g_unix_signal_add(SIGTERM, on_signal, &app);
	g_main_loop_run(app.loop);

	for (int i = 0; i < 3; i++)
		g_source_remove(sources[i]);
	g_main_loop_unref(app.loop);
	hosted_destroy(&app.h);
	return app.h.status;
}
