// SPDX-License-Identifier: Apache-2.0
// Git repositories in memory: commits that tests make, and a `struct vcs` over them with a slow and failing network.
// The repositories outlive the process that a crash ends; the vcs does not.
#ifndef SKIFF_TESTS_SIM_GIT_H
#define SKIFF_TESTS_SIM_GIT_H

#include "faults.h"
#include "vcs/vcs.h"

struct sim_git;

struct sim_git *sim_git_create(struct loop *loop, struct faults *faults);
void sim_git_destroy(struct sim_git *git);
// Changes to the next commit of a repository (made on first use); an empty content removes the file.
void sim_git_put(struct sim_git *git, struct str url, struct str path, struct str content);
// The content as of the working state; empty when absent. Borrowed until the next put.
struct str sim_git_get(struct sim_git *git, struct str url, struct str path);
// Makes the changes visible. Who watches is told, unless the message is lost.
void sim_git_commit(struct sim_git *git, struct str url);

struct vcs *sim_vcs_create(struct sim_git *git);

#endif
